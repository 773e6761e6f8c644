"""A report as the text that a terminal shows."""

from io import StringIO
from shutil import get_terminal_size
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cqox.api.report import Report

__all__ = ["text_of"]

_NARROWEST = 80


def text_of(report: "Report") -> str:
    """Return estimates, findings, notes, headline, verdict, ledger and gates as plain text, as wide as the terminal."""
    from rich.console import Console

    from cqox.api.estimates_table import show_report

    text = StringIO()
    # In a notebook rich would put the text into the output of the cell, and styles into the text.
    console = Console(
        file=text,
        width=max(get_terminal_size().columns, _NARROWEST),
        highlight=False,
        no_color=True,
        force_terminal=False,
        force_jupyter=False,
    )
    show_report(console, report.to_dict(), language=report.language)
    return "\n".join(line.rstrip() for line in text.getvalue().strip("\n").splitlines())
