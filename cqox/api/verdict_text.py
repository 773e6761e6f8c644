"""Terminal output of a verdict: headline, verdict with its reasons, assumptions, and gates by what to do about them."""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue
from rich.console import Console
from rich.text import Text

from cqox.contract.messages import Language, Message

__all__ = ["STATUSES", "show_verdict"]

_STYLES = {"GO": "bold green", "CANARY": "bold yellow", "HOLD": "bold red"}
_ASSUMPTION_STYLES = {"supported": "green", "declared": "cyan", "untested": "yellow", "contradicted": "red"}
_GATE_STYLES = {"fail": "red", "warn": "yellow", "pass": "green"}


def show_verdict(console: Console, report: Mapping[str, JsonValue], *, language: Language = "en") -> None:
    """Print the decision of a report; nothing where it has none.

    Args:
        console: the output.
        report: as the API returns it.
        language: language of the headings; the sentences are in that of the report.
    """
    decision = report.get("decision")
    if not isinstance(decision, dict):
        return
    console.print()
    if decision.get("headline"):
        console.print(Text(str(decision["headline"]), style="bold"), soft_wrap=True)
    verdict = str(decision["verdict"])
    said = Message("terminal.verdict", verdict=verdict)
    if decision["primary"]:
        said = Message("terminal.verdict-on", verdict=verdict, primary=str(decision["primary"]))
    console.print(Text(said.in_language(language), style=_STYLES.get(verdict, "bold")))
    if decision["primary"] and decision.get("primary_rule"):
        console.print(Text(f"  {decision['primary_rule']}", style="dim"), soft_wrap=True)
    for reason in _list(decision["reasons"]):
        console.print(Text(f"  {reason}"), soft_wrap=True)
    _show_assumptions(console, report.get("identification"), language)
    _show_gates(console, report.get("gates"), language)


def _show_assumptions(console: Console, identification: JsonValue, language: Language) -> None:
    if not isinstance(identification, dict):
        return
    console.print(Text("\n" + Message("terminal.assumptions").in_language(language), style="bold"))
    console.print(Text(f"  {identification['statement']}"), soft_wrap=True)
    for entry in _objects(identification["assumptions"]):
        status = str(entry["status"])
        line = Text("  ") + Text(STATUSES[status].in_language(language), style=_ASSUMPTION_STYLES[status])
        console.print(line + Text(f" {entry['name']}: {entry['statement']}"), soft_wrap=True)
        for sentence in _list(entry.get("evidence")):
            console.print(Text(f"    {sentence}", style="dim"), soft_wrap=True)
        if entry.get("remedy") and (entry.get("caps") or status == "contradicted"):
            console.print(Text(f"    → {entry['remedy']}"), soft_wrap=True)


def _show_gates(console: Console, gates: JsonValue, language: Language) -> None:
    if not isinstance(gates, dict):
        return
    by_status: dict[str, list[tuple[str, Mapping[str, JsonValue]]]] = {}
    for name, gate in gates.items():
        if isinstance(gate, dict):
            by_status.setdefault(str(gate["status"]), []).append((name, gate))
    console.print(Text("\n" + Message("terminal.gates").in_language(language), style="bold"))
    for status, heading in _GROUPS.items():
        group = by_status.get(status, [])
        if not group:
            continue
        line = Text("  ") + Text(heading.in_language(language), style=_GATE_STYLES[status])
        if status == "pass":
            console.print(line + Text(" " + ", ".join(name for name, _ in group)), soft_wrap=True)
            continue
        console.print(line)
        for name, listed in group:
            console.print(Text(f"    {name}: {listed.get('reason') or listed['rule']}"), soft_wrap=True)
    folded = by_status.get("not_applicable", [])
    if folded:
        text = Message("terminal.not-applicable", gates=len(folded)).in_language(language)
        console.print(Text(f"  {text}", style="dim"), soft_wrap=True)


_GROUPS = {
    "fail": Message("terminal.stop"),
    "warn": Message("terminal.look-at"),
    "pass": Message("terminal.pass"),
}

STATUSES = {
    "supported": Message("terminal.supported"),
    "declared": Message("terminal.declared"),
    "untested": Message("terminal.untested"),
    "contradicted": Message("terminal.contradicted"),
}
"""Words of the statuses of an assumption."""


def _list(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else ()


def _objects(value: JsonValue) -> Sequence[Mapping[str, JsonValue]]:
    return [item for item in _list(value) if isinstance(item, dict)]
