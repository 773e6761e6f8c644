"""Terminal output of a report."""

import csv
import json
import shlex
from collections.abc import Mapping, Sequence
from io import StringIO

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cqox.api.verdict_text import show_verdict
from cqox.contract.messages import Language

__all__ = ["estimates_table", "show_report"]


def show_report(
    console: Console, report: Mapping[str, JsonValue], *, alpha: float = 0.05, language: Language = "en"
) -> None:
    """Print estimates, reasons of missing ones, findings, notes and warnings, and last, where one looks, the verdict.

    Args:
        console: the output.
        report: as the API returns it.
        alpha: 1 - alpha is the confidence level of its intervals.
        language: language of the verdict's headings.
    """
    estimates = _objects(report["estimates"])
    console.print()
    console.print(estimates_table(estimates, alpha=alpha))
    _show_without_number(console, estimates)
    for finding in _objects(report.get("findings")):
        _show_finding(console, finding)
    for what in ("notes", "warnings", "errors"):
        for line in _grouped(_list(report.get(what))) if what == "warnings" else _list(report.get(what)):
            console.print(Text(f"{what.removesuffix('s')}: {line}", style="yellow"), soft_wrap=True)
    show_verdict(console, report, language=language)


def estimates_table(estimates: Sequence[Mapping[str, JsonValue]], *, alpha: float = 0.05) -> Table:
    """Return a table of the estimates with a value, with their intervals; `!` marks a warning."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    contrasts = any(one.get("contrast") for one in estimates)
    for heading in ("estimator", "estimand", *(["contrast"] if contrasts else [])):
        table.add_column(heading)
    for heading in ("estimate", f"{100 * (1 - alpha):g}% interval", "s.e.", "p", "n"):
        table.add_column(heading, justify="right")
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


def _show_without_number(console: Console, estimates: Sequence[Mapping[str, JsonValue]]) -> None:
    contrasts = len({str(one.get("contrast")) for one in estimates})
    reasons: dict[tuple[str, str], dict[str, list[str]]] = {}
    for one in estimates:
        if one["status"] in ("skipped", "failed"):
            of_reason = reasons.setdefault((str(one["status"]), str(one["reason"])), {})
            of_reason.setdefault(str(one["name"]), []).append(str(one.get("contrast")))
    for (status, reason), of_reason in reasons.items():
        names = (name if len(of) == contrasts else f"{name} ({', '.join(of)})" for name, of in of_reason.items())
        style = "red" if status == "failed" else "dim"
        console.print(Text(f"{status}: {', '.join(names)}. {reason}", style=style), soft_wrap=True)


def _show_finding(console: Console, finding: Mapping[str, JsonValue]) -> None:
    """Print a finding with the flags of its remedy, and the one that accepts it if it keeps the verdict at CANARY."""
    caps = finding["severity"] == "caps" and not finding["accepted"]
    style = "red" if caps else "yellow"
    console.print(Text(f"finding {finding['code']}: {finding['message']}", style=style), soft_wrap=True)
    remedy = finding["remedy"]
    if isinstance(remedy, dict) and isinstance(remedy["parameters"], dict):
        flag = "--read" if remedy["at"] == "upload" else "--option"
        for name, value in remedy["parameters"].items():
            if name == "mapping" and isinstance(value, dict):
                for role, columns in value.items():
                    console.print(Text(f"  --{role.replace('_', '-')} {_columns(columns)}"), soft_wrap=True)
                continue
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            console.print(Text(f"  {flag} {name}={shlex.quote(text)}"), soft_wrap=True)
    if caps:
        console.print(Text(f"  --option accept={finding['code']}"), soft_wrap=True)


def _columns(columns: JsonValue) -> str:
    """Return columns as a flag of a role takes them: separated by commas, quoted as in CSV where they hold one."""
    row = StringIO()
    csv.writer(row, lineterminator="").writerow(columns if isinstance(columns, list) else [columns])
    return shlex.quote(row.getvalue())


def _grouped(warnings: Sequence[JsonValue]) -> list[str]:
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
