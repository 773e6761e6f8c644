"""Writes the tables of the pages on Kubernetes: `python docs/chart.py`. A test holds the pages to it.

The values come from `deploy/chart/values.yaml`, whose comments are their descriptions; who retries, times out and
ejects comes from `deploy/layers.py`.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT))

from deploy.layers import HOPS  # noqa: E402 - the root of the tree is no place that a program of `docs` imports from

_VALUES = _ROOT / "deploy" / "chart" / "values.yaml"
_PAGES = {"en": _ROOT / "docs" / "kubernetes.md", "ja": _ROOT / "docs" / "ja" / "kubernetes.md"}
_LINE = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z]+):(?: (?P<value>.+))?")
_HEADS = {
    "en": "| from, to | retries | times out | ejects |",
    "ja": "| 呼び出し元、呼び出し先 | 再試行する | 時間切れにする | 外す |",
}
_PARTS = {"client": "クライアント", "gateway": "ゲートウェイ", "engine": "エンジン", "store": "ストア"}


def values() -> Iterator[tuple[str, str, str]]:
    """Yield path, default and description of each value, in the order of the file."""
    path: list[str] = []
    comment: list[str] = []
    described = ""
    for line in _VALUES.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if not text:
            comment = []
        elif text.startswith("# "):
            comment.append(text[2:])
        elif found := _LINE.fullmatch(line):
            path = [*path[: len(found["indent"]) // 2], found["key"]]
            if found["value"] is None:
                described = " ".join(comment)
            else:
                yield ".".join(path), found["value"], " ".join(comment) or described
            comment = []
        else:
            raise ValueError(f"{_VALUES.name}: {line!r} is no value with its default in one line")


def values_table() -> str:
    """Return the table of all values."""
    rows = [
        f"| `{path}` | {'' if default == '""' else f'`{default}`'} | {_escaped(description)} |"
        for path, default, description in values()
    ]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows]) + "\n"


def layers_table(language: str) -> str:
    """Return who retries, times out and ejects."""
    rows = []
    for hop in HOPS:
        names = (_PARTS[hop.asking], _PARTS[hop.asked]) if language == "ja" else (hop.asking, hop.asked)
        cells = [rule.ja if language == "ja" else rule.en for rule in hop.rules]
        rows.append(f"| {'、'.join(names) if language == 'ja' else ', '.join(names)} | {' | '.join(cells)} |")
    return "\n".join([_HEADS[language], "|---|---|---|---|", *rows]) + "\n"


def written(text: str, language: str) -> str:
    """Return a page with its tables made again."""
    for name, table in (("values", values_table()), ("layers", layers_table(language))):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if begin in text:
            head, _, rest = text.partition(begin)
            text = head + begin + table + end + rest.partition(end)[2]
    return text


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the pages."""
    for language, page in _PAGES.items():
        page.write_text(written(page.read_text(encoding="utf-8"), language), encoding="utf-8")


if __name__ == "__main__":
    main()
