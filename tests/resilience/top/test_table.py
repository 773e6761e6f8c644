"""The table: figures, states by how bad they are, and texts of the app without power over the terminal."""

import math

from rich.console import Console

from cqox.resilience.top.parts import PartRow
from cqox.resilience.top.table import drawn, printable


def row(name: str = "a", **values: object) -> PartRow:
    rates = ("calls", "failed", "rejected", "retries", "timeouts", "running", "limit", "queued", "budget")
    return PartRow(**{**dict.fromkeys(rates, math.nan), "name": name, "state": {}, **values})


def text_of(*rows: PartRow, problem: str = "", width: int = 160) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(drawn(rows, title="http://app/metrics", problem=problem))
    return captured.get()


def test_figures_have_their_units_and_what_is_unknown_a_dash() -> None:
    shown = text_of(row(calls=12.34, failed=0.256, rejected=0.0, running=3.0, limit=20.0, retries=12345.6)).splitlines()
    assert shown[-1].split() == ["a", "–", "12.3", "25.6%", "0", "12,346", "–", "3", "20", "–", "–"]


def test_an_infinite_figure_is_shown() -> None:
    assert "inf" in text_of(row(limit=math.inf))


def test_one_circuit_has_a_state_and_several_have_counts_the_worst_first() -> None:
    assert " open " in text_of(row(state={"open": 1}))
    assert "2 open, 1 half_open, 3 closed" in text_of(row(state={"closed": 3, "half_open": 1, "open": 2}))
    assert "new_state" in text_of(row(state={"new_state": 1}))


def test_a_name_is_neither_markup_nor_a_command_to_the_terminal() -> None:
    shown = text_of(row("[bold]x\x1b[2J\n"), problem="[red]gone\x07")
    assert "[bold]x�[2J�" in shown
    assert "[red]gone�" in shown
    assert printable("fine ä 日本") == "fine ä 日本"


def test_without_policies_it_says_where_to_read() -> None:
    assert "docs/resilience/observability.md" in text_of()


def test_a_narrow_terminal_keeps_every_row_on_one_line() -> None:
    assert len(text_of(row("a" * 60, calls=1.0), width=40).splitlines()) == 3
