"""One real analysis through the gateway, and how a report looks on a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import httpx
from pydantic import JsonValue
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.http.api import operation

__all__ = ["Demonstration", "estimates_table", "show"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What the gateway answered.

    Attributes:
        gateway_url: where it was asked.
        status: the HTTP status.
        answer: the report, or the problem.
    """

    gateway_url: str
    status: int
    answer: Mapping[str, JsonValue]

    @classmethod
    async def run(cls, client: httpx.AsyncClient, gateway_url: str) -> Self:
        """Ask for the analysis that the documentation shows as its example."""
        analyze = operation("analyze")
        response = await client.post(f"{gateway_url}{analyze.path}", json=analyze.example)
        return cls(gateway_url=gateway_url, status=response.status_code, answer=response.json())


def show(console: Console, demonstration: Demonstration) -> bool:
    """Print the report and where to look next; False where there is a problem instead of a report."""
    answer = demonstration.answer
    if demonstration.status != 200:
        console.print(Text(f"The analysis was answered {demonstration.status}: {answer.get('detail')}", style="red"))
        return False
    estimates = _objects(answer["estimates"])
    console.print()
    console.print(estimates_table(estimates))
    _show_without_number(console, estimates)
    decision = answer["decision"]
    if isinstance(decision, dict):
        console.print(f"\n[bold]Decision: {decision['verdict']}[/bold] on {decision['primary']}")
        for reason in _list(decision["reasons"]):
            console.print(Text(f"  {reason}"), soft_wrap=True)
    figures = answer["figures"]
    if isinstance(figures, dict):
        console.print("\n[bold]Figures[/bold]")
        for name, path in figures.items():
            console.print(f"  {name}: {demonstration.gateway_url}{path}", soft_wrap=True)
    console.print(
        f"[bold]Report[/bold]\n  {demonstration.gateway_url}/api/analyses/{answer['analysis_id']}", soft_wrap=True
    )
    return True


def _show_without_number(console: Console, estimates: Sequence[Mapping[str, JsonValue]]) -> None:
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in estimates:
        if one["status"] in ("skipped", "failed"):
            reasons.setdefault((str(one["status"]), str(one["reason"])), []).append(str(one["name"]))
    for (status, reason), names in reasons.items():
        style = "red" if status == "failed" else "dim"
        console.print(Text(f"{status}: {', '.join(names)}. {reason}", style=style), soft_wrap=True)


def estimates_table(estimates: Sequence[Mapping[str, JsonValue]]) -> Table:
    """Estimates that have a number, with their intervals."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("estimator")
    table.add_column("estimand")
    for heading in ("estimate", "95% interval", "s.e.", "p", "n"):
        table.add_column(heading, justify="right")
    for one in estimates:
        if one["status"] in ("ok", "warning"):
            mark = " [yellow]![/yellow]" if one["status"] == "warning" else ""
            table.add_row(
                f"{one['name']}{mark}",
                str(one["estimand"]),
                _number(one["estimate"]),
                f"[{_number(one['ci_lower'])}, {_number(one['ci_upper'])}]".replace("[", "\\["),
                _number(one["standard_error"]),
                _number(one["p_value"], 2),
                _number(one["n"], 9),
            )
    return table


def _number(value: JsonValue, digits: int = 4) -> str:
    return f"{value:.{digits}g}" if isinstance(value, int | float) else "–"


def _list(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else ()


def _objects(value: JsonValue) -> Sequence[Mapping[str, JsonValue]]:
    return [item for item in _list(value) if isinstance(item, dict)]
