"""`cqox analyze`: an analysis of one file, on this machine or by a server, or of a table of a server's source."""

import os
from collections.abc import Sequence
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
from cqox.cli.asked import Asked
from cqox.cli.environment import bounds_of
from cqox.cli.exports import check_targets, format_of, write_report
from cqox.cli.output import INTERRUPTED, Progress, error_console, print_error, print_json, result_console
from cqox.cli.servers import open_client
from cqox.contract.messages import Message
from cqox.errors import CqoxError

__all__ = ["FigureFormat", "Files", "analyze"]

type FigureFormat = Literal["svg", "png", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files that are written of a report.

    Attributes:
        figures: folder for the figures; None writes none.
        formats: formats to write of each figure.
        exports: files to write the report to; the suffix gives the format.
    """

    figures: Path | None
    formats: Sequence[FigureFormat]
    exports: Sequence[Path]


def analyze(asked: Asked, files: Files) -> int:
    """Run the analysis; progress goes to standard error, the result to standard output.

    Returns:
        The exit status: 0 for a report, 1 where the data cannot be used, there is no estimate or a file cannot be
        written, 2 for an invalid command line, 130 after Ctrl-C.
    """
    console = error_console()
    progress = Progress(console, asked.language)
    report: Report | None = None
    try:
        with suppress(KeyboardInterrupt), progress:
            report = _computed(asked, files, progress)
    except (CqoxError, OSError) as error:
        return print_error(error, asked.language, console=console)
    if report is None:
        return INTERRUPTED
    _print(asked, files, report)
    return 1 if report.status == "failed" else 0


def _computed(asked: Asked, files: Files, progress: Progress) -> Report:
    check_targets(files.exports)
    options, read = options_of(asked.options), read_options_of(asked.read_options)
    mapping = mapping_of(asked.roles)
    data = asked.data_or_table()
    if asked.server is not None:
        with open_client(asked.server, asked.token_file) as client:
            report = client.analyze_request(
                data, mapping, options, source=asked.source, table=asked.table, read=read, language=asked.language,
                progress=progress.step,
            )  # fmt: skip
            return _written(files, report)
    with Session(bounds_of(os.environ)) as session:
        report = analyze_request(
            data, mapping, options, read=read, language=asked.language, progress=progress.step, session=session
        )
        return _written(files, report)


def _written(files: Files, report: Report) -> Report:
    """Write figures and documents, while what draws them is open."""
    if files.figures is not None:
        report.save_figures(files.figures, formats=files.formats)
    for path in files.exports:
        write_report(report, path, format_of(path))
    return report


def _print(asked: Asked, files: Files, report: Report) -> None:
    figures = {
        name: [str(files.figures / f"{name}.{suffix}") for suffix in files.formats]
        for name in report.figures
        if files.figures is not None
    }
    document: dict[str, JsonValue] = {
        **report.to_dict(),
        "figures": {name: paths[0] for name, paths in figures.items()},
    }
    if asked.as_json:
        print_json(document)
        return
    console = result_console()
    show_report(console, document, language=asked.language)
    console.print()
    for name, paths in figures.items():
        said = Message("terminal.figure", name=name, files=paths)
        console.print(Text(said.in_language(asked.language)), soft_wrap=True)
    for path in files.exports:
        said = Message("terminal.written", file=str(path))
        console.print(Text(said.in_language(asked.language)), soft_wrap=True)
