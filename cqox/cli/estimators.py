"""`cqox estimators`: the catalog as a table."""

from rich.table import Table
from rich.text import Text

from cqox.cli.output import listing_console

__all__ = ["print_estimators"]


def print_estimators() -> None:
    """Print every estimator of this installation, without a server."""
    from cqox.estimators import entries

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "estimand", "what it does", "needs", "checked against"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("name", "estimand"))
    families = list(dict.fromkeys(entry.family for entry in entries()))
    family = ""
    for entry in sorted(entries(), key=lambda each: families.index(each.family)):
        if entry.family != family:
            family = entry.family
            table.add_section()
            table.add_row(Text(family, style="dim"))
        cells = (entry.name, entry.estimand, entry.summary, ", ".join(entry.requires), entry.checked_against)
        table.add_row(*map(Text, cells))
    listing_console().print(table)
