"""Run the examples of the pages, and write what they print into them: `python -m tools.examples [PAGE ...]`.

On the pages that `sequences` returns, the blocks of a page are one program: each continues where the last one ended, in
an empty folder. A block ```text that follows a block ```python holds what the latter prints, and a test compares them.
Blocks ```sh are run by a test of the services, against the same text, and so are pages whose Python asks a server: for
those start one with `cqox up`. Indented blocks are not run.
"""

import contextlib
import gc
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["GATEWAY", "Block", "asks_server", "blocks", "expected", "outputs", "sequences", "with_outputs"]

GATEWAY = "http://127.0.0.1:8082"
"""Address of the server on the pages."""
_ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(python|sh|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TABS = re.compile(r"^<!-- tabs -->\n.*?^<!-- end -->\n", re.MULTILINE | re.DOTALL)
_FOLDERS = ("tutorial", "how-to")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: `python`, `sh` or `text`.
        content: its lines.
        start: place of the content in the page, in characters.
        line: number of the lines before it.
        shared: it is outside of tabs, for readers of every voice.
    """

    language: str
    content: str
    start: int
    line: int
    shared: bool


def sequences(root: Path = _ROOT) -> list[Path]:
    """Return the pages whose blocks are one program: first pages, tutorials and how-tos, in every language."""
    names = ("README.md", "README.ja.md", "docs/README.md", "docs/ja/README.md")
    readmes = [root / name for name in names if (root / name).exists()]
    folders = [root / "docs" / prefix / folder for prefix in ("", "ja") for folder in _FOLDERS]
    return [*readmes, *(path for folder in folders for path in sorted(folder.glob("*.md")))]


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    tabs = [range(*found.span()) for found in _TABS.finditer(text)]
    return [
        Block(
            language=found[1],
            content=found[2],
            start=found.start(2),
            line=text.count("\n", 0, found.start(2)),
            shared=not any(found.start() in each for each in tabs),
        )
        for found in _BLOCK.finditer(text)
    ]


def expected(page: Sequence[Block], language: str) -> Iterator[tuple[Block, Block | None]]:
    """Yield each block of a language with the text that it should print; None where the page shows none.

    The text is the next one before another block of the same language, so that two voices can share it.
    """
    for place, block in enumerate(page):
        if block.language == language:
            kinds = [each.language for each in page[place + 1 :]]
            until = kinds.index(language) if language in kinds else len(kinds)
            shown = page[place + 1 + kinds.index("text")] if "text" in kinds[:until] else None
            yield block, shown


def asks_server(text: str) -> bool:
    """Return whether Python blocks of a page need a server."""
    return any(block.language == "python" and GATEWAY in block.content for block in blocks(text))


def outputs(page: Path, text: str, gateway: str = GATEWAY) -> Mapping[int, str]:
    """Run the Python blocks of a page in the working directory; return start of block to what it printed.

    Args:
        page: its file.
        text: its content.
        gateway: address of the server that takes the place of `GATEWAY`.
    """
    namespace: dict[str, object] = {"__name__": "example"}
    printed = {}
    for block in blocks(text):
        if block.language == "python":
            stream = io.StringIO()
            # The empty lines make a traceback show the line of the page.
            program = compile("\n" * block.line + block.content.replace(GATEWAY, gateway), str(page), "exec")
            with contextlib.redirect_stdout(stream):
                exec(program, namespace)
            printed[block.start] = stream.getvalue()
    namespace.clear()
    gc.collect()
    return printed


def with_outputs(text: str, printed: Mapping[int, str]) -> str:
    """Return a page whose blocks of text hold what its Python blocks print."""
    changed = [(shown, printed[block.start]) for block, shown in expected(blocks(text), "python") if shown is not None]
    for shown, output in sorted(changed, key=lambda each: each[0].start, reverse=True):
        text = text[: shown.start] + output + text[shown.start + len(shown.content) :]
    return text


def main(names: Sequence[str]) -> int:
    """Run the named pages, by default all that ask no server, and write them where their output has changed."""
    alone = [page for page in sequences() if not asks_server(page.read_text(encoding="utf-8"))]
    chosen = [Path(name).resolve() for name in names] or alone
    for page in chosen:
        text = page.read_text(encoding="utf-8")
        here = Path.cwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                changed = with_outputs(text, outputs(page, text))
            finally:
                os.chdir(here)
        if changed != text:
            page.write_text(changed, encoding="utf-8")
            print(f"{page.relative_to(_ROOT)}: output has changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
