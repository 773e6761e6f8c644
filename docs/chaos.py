"""Writes the tables of the chaos pages from a report: `python docs/chaos.py build/chaos/report.json`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PAGES = {"en": Path(__file__).with_name("chaos.md"), "ja": Path(__file__).parent / "ja" / "chaos.md"}
_BEGIN, _END = "<!-- experiments -->\n", "<!-- end -->"
_HEADS = {
    "en": (
        "experiment",
        "fault",
        "good answers during it",
        "well again after",
        "limit",
        "reports read again",
        "jobs that ended",
    ),
    "ja": ("実験", "障害", "障害中の良好な応答", "回復までの時間", "上限", "再読した報告", "終わったジョブ"),
}
_NOT_RUN = {"en": "not run", "ja": "未実行"}
_NEVER = {"en": "**not in time**", "ja": "**上限内に回復せず**"}


def main(arguments: list[str]) -> int:
    """Write the tables."""
    if len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    report = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    for language, page in _PAGES.items():
        if page.exists():
            text = page.read_text(encoding="utf-8")
            head, _, rest = text.partition(_BEGIN)
            page.write_text(head + _BEGIN + table(report, language) + _END + rest.partition(_END)[2], encoding="utf-8")
    sys.stdout.write(f"{len(report)} experiments written\n")
    return 0


def table(report: Sequence[Mapping[str, Any]], language: str) -> str:
    """Return the table of all experiments, in their order."""
    heads = _HEADS[language]
    rows = [f"| {' | '.join(heads)} |", f"|{'---|' * 2}{'---:|' * (len(heads) - 2)}"]
    rows += [f"| {' | '.join(_cells(each, language))} |" for each in report]
    return "\n".join(rows) + "\n"


def _cells(found: Mapping[str, Any], language: str) -> list[str]:
    faults = ", ".join(
        f"`{fault['kind']}` {fault['target']}{' ×n' if fault['mode'] == 'all' else ''}, {fault['seconds']:g} s"
        for fault in found["faults"]
    )
    title = f"{found['title'][language]} (`{found['name']}`)"
    if found["skipped"]:
        return [title, faults, _NOT_RUN[language], "", "", "", ""]
    recovery = found["recovery_seconds"]
    return [
        title,
        faults,
        _goodput(found),
        _NEVER[language] if recovery is None else f"{recovery:.1f} s",
        f"{found['recovery_limit']:g} s",
        str(found["reports"]),
        ", ".join(f"{number} {status}" for status, number in found["jobs"].items()) or "0",
    ]


def _goodput(found: Mapping[str, Any]) -> str:
    """The share of good answers to the requests that began in a second of the faults."""
    if not found["fault_intervals"]:
        return ""
    begin = min(interval[0] for interval in found["fault_intervals"])
    end = max(interval[1] for interval in found["fault_intervals"])
    seconds = found["seconds"][int(begin) : int(end) + 1]
    sent = sum(second["sent"] for second in seconds)
    return f"{sum(second['good'] for second in seconds) / sent:.0%}" if sent else ""


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
