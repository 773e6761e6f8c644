"""`cqox sources`: the sources that the operator of a server has named, with the tables that are analysed in place."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from cqox.cli.output import INTERRUPTED, listing_console, print_error, print_json
from cqox.cli.servers import open_client
from cqox.contract import SourceSummary
from cqox.contract.messages import Language, Message
from cqox.errors import CqoxError, InvalidRequest

__all__ = ["print_sources"]

_HEADINGS = (
    Message("terminal.column-source"),
    Message("terminal.column-table"),
    Message("terminal.column-kind"),
    Message("terminal.column-meaning"),
)


def print_sources(server: str | None, token_file: Path | None, *, as_json: bool, language: Language) -> int:
    """Print the sources of a server, a line for each table.

    Args:
        server: its address.
        token_file: file with the token for it; None for that of the environment.
        as_json: print what the HTTP interface answers instead of a table.
        language: language of the headings.

    Returns:
        The exit status: 0 for success, 1 where the server fails or refuses, 2 for an invalid command line, 130 after
        Ctrl-C.
    """
    try:
        if not server:
            raise InvalidRequest(Message("terminal.no-server"), field="--server")
        with open_client(server, token_file) as client:
            found = client.sources()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (CqoxError, OSError) as error:
        return print_error(error, language)
    if as_json:
        print_json({"sources": [each.model_dump(mode="json") for each in found]})
    else:
        _show(found, language)
    return 0


def _show(found: Sequence[SourceSummary], language: Language) -> None:
    console = listing_console()
    if not found:
        console.print(Text(Message("terminal.no-sources").in_language(language)), soft_wrap=True)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading.in_language(language), overflow="fold")
    for source in found:
        # A source without tables is read as a data set.
        for name in source.tables or ("–",):
            table.add_row(*(Text(each) for each in (source.name, name, source.kind, source.meaning)))
    console.print(table)
