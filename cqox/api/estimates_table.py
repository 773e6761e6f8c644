"""Terminal output of a report."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cqox.api.flags import flags_of_remedy
from cqox.api.verdict_text import show_verdict
from cqox.contract.messages import Language, Message, pointer_of

__all__ = ["estimates_table", "grouped", "show_finding", "show_report"]

_NEEDS_OTHERS = frozenset(
    {
        "estimators.missing-role",
        "estimators.missing-roles",
        "estimators.needs-amount",
        "estimators.needs-covariates-of-treatment",
        "estimators.needs-two-levels",
        "estimators.no-arms-without-two-levels",
        "estimators.no-probability-without-two-levels",
        "interference.no-exposure-mapped",
        "off_policy.no-action",
    }
)
"""Codes of reasons that say what another mapping would need, and nothing of these data."""

_USUAL_ALPHA = 0.05

_ESTIMATOR = Message("terminal.column-estimator")
_ESTIMAND = Message("terminal.column-estimand")
_CONTRAST = Message("terminal.column-contrast")
_ESTIMATE = Message("terminal.column-estimate")
_STANDARD_ERROR = Message("terminal.column-standard-error")
_P_VALUE = Message("terminal.column-p-value")
_ROWS = Message("terminal.column-rows")


def show_report(console: Console, report: Mapping[str, JsonValue], *, language: Language = "en") -> None:
    """Print estimates, reasons of missing ones, findings, notes and warnings, and last, where one looks, the verdict.

    Args:
        console: the output.
        report: as the API returns it.
        language: language of headings and labels; the sentences are in that of the report.
    """
    estimates = _objects(report["estimates"])
    console.print()
    console.print(estimates_table(estimates, alpha=_alpha(report.get("options")), language=language))
    _show_without_number(console, report, estimates, language)
    for finding in _objects(report.get("findings")):
        show_finding(console, finding, language)
    for remark in _remarks(report):
        console.print(Text(remark.in_language(language), style="yellow"), soft_wrap=True)
    show_verdict(console, report, language=language)


def estimates_table(
    estimates: Sequence[Mapping[str, JsonValue]], *, alpha: float = 0.05, language: Language = "en"
) -> Table:
    """Return a table of the estimates with a value, with their intervals; `!` marks a warning."""
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    contrasts = any(one.get("contrast") for one in estimates)
    level = Message("terminal.column-interval", level=100 * (1 - alpha))
    for heading in (_ESTIMATOR, _ESTIMAND, *([_CONTRAST] if contrasts else [])):
        table.add_column(heading.in_language(language), no_wrap=heading is _ESTIMATOR, overflow="fold")
    for heading in (_ESTIMATE, level, _STANDARD_ERROR, _P_VALUE, _ROWS):
        table.add_column(heading.in_language(language), justify="right", no_wrap=True)
    for one in estimates:
        if one["status"] in ("ok", "warning"):
            name = Text(str(one["name"])) + Text(" !" if one["status"] == "warning" else "", style="yellow")
            table.add_row(
                name,
                Text(str(one["estimand"])),
                *([Text(str(one.get("contrast") or ""))] if contrasts else []),
                _number(one["estimate"]),
                Text(f"[{_number(one['ci_lower'])}, {_number(one['ci_upper'])}]"),
                _number(one["standard_error"]),
                _number(one["p_value"], 2),
                _number(one["n"], 9),
            )
    return table


def _show_without_number(
    console: Console,
    report: Mapping[str, JsonValue],
    estimates: Sequence[Mapping[str, JsonValue]],
    language: Language,
) -> None:
    """Print reasons, each with its estimators; those of another design are counted unless the request names them."""
    contrasts = len({str(one.get("contrast")) for one in estimates})
    asked = _asked(report.get("options"))
    reasons: dict[tuple[str, str], dict[str, list[str]]] = {}
    others: set[str] = set()
    for number, one in enumerate(estimates):
        if one["status"] == "skipped" and one["name"] not in asked and _code(report, number) in _NEEDS_OTHERS:
            others.add(str(one["name"]))
        elif one["status"] in ("skipped", "failed"):
            of_reason = reasons.setdefault((str(one["status"]), str(one["reason"])), {})
            of_reason.setdefault(str(one["name"]), []).append(str(one.get("contrast")))
    for (status, reason), of_reason in reasons.items():
        names = [name if len(of) == contrasts else f"{name} ({', '.join(of)})" for name, of in of_reason.items()]
        if status == "failed":
            said = Message("terminal.failed", estimators=names, reason=reason)
        else:
            said = Message("terminal.skipped", estimators=names, reason=reason)
        console.print(Text(said.in_language(language), style="red" if status == "failed" else "dim"), soft_wrap=True)
    if others:
        said = Message("terminal.need-others", estimators=len(others))
        console.print(Text(said.in_language(language), style="dim"), soft_wrap=True)


def _alpha(options: JsonValue) -> float:
    alpha = options.get("alpha") if isinstance(options, dict) else None
    return alpha if isinstance(alpha, float) else _USUAL_ALPHA


def _asked(options: JsonValue) -> Sequence[JsonValue]:
    """Return the names of estimators that the request asks for."""
    return [*_list(options.get("estimators")), options.get("primary")] if isinstance(options, dict) else ()


def _code(report: Mapping[str, JsonValue], number: int) -> JsonValue:
    """Return the message code of an estimate's reason; None in a report of an older version."""
    messages = report.get("messages")
    found = messages.get(pointer_of("estimates", number, "reason")) if isinstance(messages, dict) else None
    return found.get("code") if isinstance(found, dict) else None


def show_finding(
    console: Console, finding: Mapping[str, JsonValue], language: Language, *, reading: bool = False
) -> None:
    """Print a finding with the flags of its remedy, and the one that accepts it if it keeps the verdict at CANARY.

    Args:
        console: the output.
        finding: as the API returns it.
        language: language of the words around it.
        reading: print only what a command that reads a file and analyses nothing can take.
    """
    caps = finding["severity"] == "caps" and not finding["accepted"]
    said = Message("terminal.finding", code=str(finding["code"]), text=str(finding["message"]))
    console.print(Text(said.in_language(language), style="red" if caps else "yellow"), soft_wrap=True)
    for words in flags_of_remedy(finding["remedy"], reading=reading):
        console.print(Text(f"  {shlex.join(words)}"), soft_wrap=True)
    if caps and not reading:
        console.print(Text(f"  --option accept={finding['code']}"), soft_wrap=True)


def _remarks(report: Mapping[str, JsonValue]) -> Iterator[Message]:
    for note in _list(report.get("notes")):
        yield Message("terminal.note", text=str(note))
    for warning in grouped(_list(report.get("warnings"))):
        yield Message("terminal.warning", text=warning)
    for error in _list(report.get("errors")):
        yield Message("terminal.error", text=str(error))


def grouped(warnings: Sequence[JsonValue]) -> list[str]:
    """Merge equal warnings of several estimators to one line with their names."""
    names: dict[str, list[str]] = {}
    for warning in warnings:
        name, _, said = str(warning).partition(": ")
        names.setdefault(said, []).append(name)
    return [f"{', '.join(of)}: {said}" if said else of[0] for said, of in names.items()]


def _number(value: JsonValue, digits: int = 4) -> str:
    return f"{value:.{digits}g}" if isinstance(value, int | float) else "–"


def _list(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else ()


def _objects(value: JsonValue) -> Sequence[Mapping[str, JsonValue]]:
    return [item for item in _list(value) if isinstance(item, dict)]
