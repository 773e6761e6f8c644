"""A report as the output of a notebook's cell: headline, verdict, assumptions, gates, and a figure."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING

from cqox.api.verdict_text import STATUSES
from cqox.contract import Gate, Identification
from cqox.contract.messages import Language, Message
from cqox.errors import CqoxError

if TYPE_CHECKING:
    from cqox.api.report import Report

__all__ = ["html_of"]

# Of the middle of the scale, so that they are read on a light and on a dark page.
_COLORS = {
    "GO": "#1a7f37", "CANARY": "#9a6700", "HOLD": "#cf222e", "supported": "#1a7f37", "declared": "#0969da",
    "untested": "#9a6700", "contradicted": "#cf222e", "fail": "#cf222e", "warn": "#9a6700",
}  # fmt: skip
_FIGURE = "forest"


def html_of(report: "Report") -> str:
    """Return a fragment of HTML without scripts, styled inline; texts of the data are escaped."""
    decision, language = report.decision, report.language
    said = Message("terminal.verdict", verdict=decision.verdict)
    if decision.primary:
        said = Message("terminal.verdict-on", verdict=decision.verdict, primary=decision.primary)
    parts = [
        f"<p style='font-size:1.15em;margin:.3em 0'><b>{escape(report.headline)}</b></p>",
        f"<p style='margin:.3em 0;color:{_COLORS[decision.verdict]}'><b>{escape(said.in_language(language))}</b></p>",
        _list(escape(reason) for reason in decision.reasons),
        *_ledger(report.identification, language),
        *_gates(report.gates, language),
        _figure(report),
    ]
    return f"<div style='max-width:60em;line-height:1.45'>{''.join(parts)}</div>"


def _list(items: Iterable[str]) -> str:
    rows = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul style='margin:.2em 0 .6em 1.2em;padding:0'>{rows}</ul>" if rows else ""


def _ledger(ledger: Identification | None, language: Language) -> list[str]:
    if ledger is None:
        return []
    items = []
    for entry in ledger.assumptions:
        item = f"{_colored(STATUSES[entry.status].in_language(language), entry.status)} {escape(entry.statement)}"
        if entry.remedy and (entry.caps or entry.status == "contradicted"):
            item += f"<br>→ {escape(entry.remedy)}"
        items.append(item)
    heading = escape(Message("terminal.assumptions").in_language(language))
    return [f"<p style='margin:.3em 0'><b>{heading}</b> {escape(ledger.statement)}</p>", _list(items)]


def _gates(gates: Mapping[str, Gate], language: Language) -> list[str]:
    looked = [(name, gate) for status in ("fail", "warn") for name, gate in gates.items() if gate.status == status]
    passed = [name for name, gate in gates.items() if gate.status == "pass"]
    items = [f"{_colored(name, gate.status)} {escape(gate.reason or gate.rule)}" for name, gate in looked]
    if passed:
        items.append(f"{escape(Message('terminal.pass').in_language(language))} {escape(', '.join(passed))}")
    heading = escape(Message("terminal.gates").in_language(language))
    return [f"<p style='margin:.3em 0'><b>{heading}</b></p>", _list(items)]


def _colored(text: str, status: str) -> str:
    return f"<b style='color:{_COLORS[status]}'>{escape(text)}</b>"


def _figure(report: "Report") -> str:
    if _FIGURE not in report.figures:
        return ""
    try:
        drawing = report.draw(_FIGURE).decode()
    except CqoxError:  # of a server that is away
        return ""
    return f"<div role='img' aria-label='{escape(report.headline, quote=True)}'>{drawing}</div>"
