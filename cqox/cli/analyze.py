"""`cqox analyze`: an analysis of one file, on this machine or by a server, or of a table of a server's source."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue
from rich.text import Text

from cqox.api.calls import analyze_request
from cqox.api.estimates_table import show_report
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.cli.arguments import mapping_of, options_of, read_options_of
from cqox.cli.data_or_table import data_or_table
from cqox.cli.environment import bounds_of
from cqox.cli.exports import check_targets, format_of, write_report
from cqox.cli.output import INTERRUPTED, Progress, error_console, print_error, print_json, result_console
from cqox.cli.servers import open_client
from cqox.contract.messages import Language, Message
from cqox.errors import CqoxError

__all__ = ["FigureFormat", "Wanted", "analyze"]

type FigureFormat = Literal["svg", "png", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The arguments of the command line.

    Attributes:
        data: a file, a folder or an address; for a server also a data set that it has. None for a table in place.
        server: address of the server that computes; None for this machine.
        token_file: file with the token for it; None for that of the environment.
        source: source of a table in place; None for data.
        table: one of its tables.
        query: a query on the database at that address; None for the data themselves.
        roles: values by role name, one string for each use of the flag.
        options: options of the analysis as `name=value` strings.
        read_options: options of reading the file as `name=value` strings.
        figures: folder for the figures; None writes none.
        formats: formats to write of each figure.
        exports: files to write the report to; the suffix gives the format.
        as_json: print the report as JSON instead of tables.
        language: language of the sentences in report and figures.
    """

    data: str | None
    server: str | None
    query: str | None
    roles: Mapping[str, Sequence[str]]
    options: Sequence[str]
    read_options: Sequence[str]
    figures: Path | None
    formats: Sequence[FigureFormat]
    exports: Sequence[Path]
    as_json: bool
    language: Language
    token_file: Path | None = None
    source: str | None = None
    table: str | None = None


def analyze(wanted: Wanted) -> int:
    """Run the analysis; progress goes to standard error, the result to standard output.

    Returns:
        The exit status: 0 for a report, 1 where the data cannot be used, there is no estimate or a file cannot be
        written, 2 for an invalid command line, 130 after Ctrl-C.
    """
    console = error_console()
    progress = Progress(console, wanted.language)
    report: Report | None = None
    try:
        with suppress(KeyboardInterrupt), progress:
            report = _computed(wanted, progress)
    except (CqoxError, OSError) as error:
        return print_error(error, wanted.language, console=console)
    if report is None:
        return INTERRUPTED
    _print(wanted, report)
    return 1 if report.status == "failed" else 0


def _computed(wanted: Wanted, progress: Progress) -> Report:
    check_targets(wanted.exports)
    options, read = options_of(wanted.options), read_options_of(wanted.read_options)
    mapping = mapping_of(wanted.roles)
    data = data_or_table(
        wanted.data, query=wanted.query, read_options=wanted.read_options, source=wanted.source, table=wanted.table,
        server=wanted.server,
    )  # fmt: skip
    if wanted.server is not None:
        with open_client(wanted.server, wanted.token_file) as client:
            report = client.analyze_request(
                data, mapping, options, source=wanted.source, table=wanted.table, read=read, language=wanted.language,
                progress=progress.step,
            )  # fmt: skip
            return _written(wanted, report)
    with Session(bounds_of(os.environ)) as session:
        report = analyze_request(
            data, mapping, options, read=read, language=wanted.language, progress=progress.step, session=session
        )
        return _written(wanted, report)


def _written(wanted: Wanted, report: Report) -> Report:
    """Write figures and documents, while what draws them is open."""
    if wanted.figures is not None:
        report.save_figures(wanted.figures, formats=wanted.formats)
    for path in wanted.exports:
        write_report(report, path, format_of(path))
    return report


def _print(wanted: Wanted, report: Report) -> None:
    files = {
        name: [str(wanted.figures / f"{name}.{suffix}") for suffix in wanted.formats]
        for name in report.figures
        if wanted.figures is not None
    }
    document: dict[str, JsonValue] = {**report.to_dict(), "figures": {name: paths[0] for name, paths in files.items()}}
    if wanted.as_json:
        print_json(document)
        return
    console = result_console()
    show_report(console, document, language=wanted.language)
    console.print()
    for name, paths in files.items():
        said = Message("terminal.figure", name=name, files=paths)
        console.print(Text(said.in_language(wanted.language)), soft_wrap=True)
    for path in wanted.exports:
        said = Message("terminal.written", file=str(path))
        console.print(Text(said.in_language(wanted.language)), soft_wrap=True)
