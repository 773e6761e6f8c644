"""The report of a game day: JSON, a page with its pictures, and the table of the documentation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from html import escape
from pathlib import Path

from tests.game_day.board import Picture
from tests.game_day.clients import Tally
from tests.game_day.exercises import Expected, Held

__all__ = ["LANGUAGES", "as_html", "as_json", "table", "write_report"]

LANGUAGES = ("en", "ja")
_STYLE = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
_PHASES = {"before": "Before", "during": "During the fault", "after": "After the mend"}
_HEADS = {
    "en": (
        "fault", "notified", "by", "after s", "at most s", "resolved s after the mend", "good answers during it",
        "last failure s after the mend",
    ),
    "ja": (
        "障害", "通知", "宛先", "通知まで（秒）", "上限（秒）", "修復から解決まで（秒）", "障害中の良好な応答",
        "修復後の最後の失敗（秒）",
    ),
}  # fmt: skip
_NEVER = {"en": "**never**", "ja": "**なし**"}


def write_report(held: Sequence[Held], folder: Path, *, factor: float, began: datetime) -> None:
    """Write `report.json` and `index.html` into a folder that has the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(held, factor=factor, began=began), ensure_ascii=False, indent=1)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "index.html").write_text(as_html(held, factor=factor, began=began), encoding="utf-8")


def as_json(held: Sequence[Held], *, factor: float, began: datetime) -> dict[str, object]:
    """Return the report as JSON values."""
    return {
        "began": began.isoformat(timespec="seconds"),
        "factor": factor,
        "is_well": all(each.is_well for each in held),
        "exercises": [
            {
                "name": each.exercise.name,
                "title": dict(zip(LANGUAGES, each.exercise.title, strict=True)),
                "is_well": each.is_well,
                "pages": each.pages,
                "expected": [asdict(one) | {"is_well": one.is_well} for one in each.expected],
                "notified": [asdict(one) for one in each.notified],
                "fault_seconds": each.fault_seconds,
                "quiet": each.quiet,
                "well": each.well,
                "requests": {phase: asdict(one) for phase, one in each.requests.items()},
                "board": each.numbers,
                "pictures": {phase: [asdict(one) for one in found] for phase, found in each.pictures.items()},
            }
            for each in held
        ],
    }


def table(report: Mapping[str, object], language: str) -> str:
    """Return the table of the documentation, of a report as JSON values.

    Args:
        report: what `as_json` returns.
        language: of `LANGUAGES`.
    """
    heads = _HEADS[language]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * 3}{'---:|' * (len(heads) - 3)}"]
    for each in report["exercises"]:  # type: ignore[attr-defined]
        during = each["requests"]["during"]
        for one in each["expected"]:
            fired, resolved = (
                _NEVER[language] if one[name] is None else f"{one[name]:.0f}" for name in ("fired", "resolved")
            )
            cells = [
                each["title"][language],
                f"`{one['alert']}`",
                f"`{one['receiver']}`",
                fired,
                f"{one['at_most']:.0f}",
                resolved,
                f"{during['good']} / {during['sent']}",
                f"{each['well']:.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def as_html(held: Sequence[Held], *, factor: float, began: datetime) -> str:
    """Return the page."""
    well = sum(each.is_well for each in held)
    speed = "" if factor == 1 else f" All times of alerts are divided by {factor:g}."
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Game day</title><style>{_STYLE}</style></head><body><main><h1>Game day</h1>"
        f"<p>{began:%Y-%m-%d %H:%M} UTC. {well} of {len(held)} exercises went as they had to.{speed}</p>"
        f"{_summary(held)}{''.join(map(_section, held))}</main></body></html>\n"
    )


def _summary(held: Sequence[Held]) -> str:
    rows = [
        [
            f'<a href="#{each.exercise.name}">{escape(each.exercise.title[0])}</a>',
            _verdict(each.is_well),
            escape(one.alert),
            escape(one.receiver),
            _seconds(one.fired),
            _seconds(one.at_most),
            _seconds(one.resolved),
            _seconds(each.well),
        ]
        for each in held
        for one in each.expected
    ]
    heads = ("exercise", "", "alert", "receiver", "fired after", "at most", "resolved after", "last failure after")
    return _table(heads, rows)


def _section(held: Held) -> str:
    exercise = held.exercise
    pages = ", ".join(held.pages) or "nobody was woken"
    quiet = (
        "an alert that pages was left"
        if held.quiet is None
        else f"no alert that pages was left {held.quiet:.0f} s after the mend"
    )
    requests = [
        [_PHASES[phase], str(one.sent), str(one.good), escape(_said(one))] for phase, one in held.requests.items()
    ]
    notified = [
        [_seconds(each.seconds), each.receiver, each.status, escape(each.alert), escape(each.summary)]
        for each in held.notified
    ]
    return (
        f'<section id="{exercise.name}"><h2>{escape(exercise.title[0])} {_verdict(held.is_well)}</h2>'
        f"<p>The fault lasted {held.fault_seconds:.0f} s. Pages: {escape(pages)}; {quiet}.</p>"
        f"{''.join(f'<p>{_expected(each)}</p>' for each in held.expected)}"
        f"<h3>Requests</h3>{_table(('phase', 'sent', 'good', 'the others'), requests)}"
        f"<h3>Notifications</h3>{_table(('after', 'receiver', 'status', 'alert', 'summary'), notified)}"
        f"<h3>The first row of the board</h3>{_board(held)}"
        f"{''.join(_pictures(_PHASES[phase], found) for phase, found in held.pictures.items())}</section>"
    )


def _expected(each: Expected) -> str:
    if each.fired is None:
        return f"<strong>{escape(each.alert)} did not come to {escape(each.receiver)}.</strong>"
    late = "" if each.fired <= each.at_most else " <strong>That is too late.</strong>"
    over = "<strong>was never resolved</strong>" if each.resolved is None else f"resolved after {each.resolved:.0f} s"
    return f"{escape(each.alert)} came to {escape(each.receiver)} after {each.fired:.0f} s, {over}.{late}"


def _said(requests: Tally) -> str:
    return ", ".join(f"{count} {said}" for said, count in requests.failures.items())


def _board(held: Held) -> str:
    titles = dict.fromkeys(title for found in held.numbers.values() for title in found)
    rows = [[escape(title), *(escape(found.get(title, "")) for found in held.numbers.values())] for title in titles]
    return _table(("panel", *(_PHASES[phase] for phase in held.numbers)), rows)


def _pictures(title: str, found: Sequence[Picture]) -> str:
    shown = "".join(
        f'<figure class="{each.size}"><img src="{escape(each.file)}" alt="{escape(f"{title}, row {each.of}")}" '
        f'loading="lazy"></figure>'
        for each in found
    )
    return f'<h3>{escape(title)}</h3><div class="pictures">{shown}</div>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _verdict(is_well: bool) -> str:
    return f'<span class="{"well" if is_well else "wrong"}">{"as it had to" if is_well else "FAILED"}</span>'


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f} s"
