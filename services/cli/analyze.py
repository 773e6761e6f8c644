"""`cqox analyze`: an analysis of one file, on this machine or by a server."""

import csv
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import JsonValue
from rich.console import Console
from rich.text import Text

from cqox.analysis.bounds import Bounds
from cqox.api.calls import analyze_request
from cqox.api.estimates_table import show_report
from cqox.api.report import Report
from cqox.api.session import Session
from cqox.client import Client
from cqox.contract import ROLES, Options
from cqox.contract.messages import Language, Message
from cqox.datasets import ReadOptions
from cqox.errors import CqoxError, InputError, InvalidRequest
from services.config.configuration import SettingsError, load
from services.config.settings import Settings

__all__ = ["FigureFormat", "Wanted", "analyze", "mapping_of", "pairs_of"]

type FigureFormat = Literal["svg", "png", "json"]

_WIDE = 120
_USAGE = 2
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The arguments of the command line.

    Attributes:
        path: the file; of a server, also a data set that it has.
        server: address of the server that computes; empty for this machine.
        roles: values by role name, one string for each use of the flag.
        options: options of the analysis as `name=value` strings.
        read_options: options of reading the file as `name=value` strings.
        figures: folder for the figures; None writes none.
        formats: formats to write of each figure.
        as_json: print the report as JSON instead of tables.
        language: language of the sentences in report and figures.
    """

    path: Path
    server: str
    roles: Mapping[str, Sequence[str]]
    options: Sequence[str]
    read_options: Sequence[str]
    figures: Path | None
    formats: Sequence[FigureFormat]
    as_json: bool
    language: Language


def analyze(wanted: Wanted) -> int:
    """Run the analysis; progress goes to standard error, the result to standard output.

    Returns:
        The exit status: 0 for a report, 1 where the data cannot be used or there is no estimate, 2 for an invalid
        command line, 130 after Ctrl-C.
    """
    progress = _Progress(Console(stderr=True, highlight=False))
    result: Report | None = None
    try:
        settings = load(os.environ).settings
        options = {name: _value(name, text) for name, text in pairs_of(wanted.options, "--option").items()}
        with suppress(KeyboardInterrupt):
            ask = _asked if wanted.server else _computed
            result = ask(wanted, settings, options, progress)
    except (SettingsError, InvalidRequest) as error:
        return progress.fail(error, _USAGE)
    except CqoxError as error:
        return progress.fail(error, 1)
    progress.end()
    if result is None:
        return _INTERRUPTED
    _print(wanted, result, options)
    return 1 if result.status == "failed" else 0


def mapping_of(roles: Mapping[str, Sequence[str]]) -> dict[str, JsonValue]:
    """Build the mapping of a request from flags; column names are separated by commas, quoted as in CSV.

    Raises:
        InvalidRequest: several columns were given for a role of one column.
    """
    mapping: dict[str, JsonValue] = {}
    for name, given in roles.items():
        if not given:
            continue
        if ROLES[name].arity == "columns":
            mapping[name] = [column.strip() for row in csv.reader(given, skipinitialspace=True) for column in row]
        elif len(given) > 1:
            flag = f"--{name.replace('_', '-')}"
            raise InvalidRequest(Message("request.flag-of-one-column", flag=flag, given=len(given)))
        else:
            mapping[name] = given[0]
    return mapping


def pairs_of(given: Sequence[str], flag: str) -> dict[str, str]:
    """Parse `name=value` strings to a mapping.

    Raises:
        InvalidRequest: one of them has no equals sign.
    """
    pairs: dict[str, str] = {}
    for text in given:
        name, found, value = text.partition("=")
        if not found:
            known = sorted(Options.model_fields) if flag == "--option" else ()
            raise InvalidRequest(Message("request.flag-takes-pairs", flag=flag, given=text), choices=known)
        pairs[name.strip()] = value
    return pairs


def _computed(wanted: Wanted, settings: Settings, options: Mapping[str, JsonValue], progress: "_Progress") -> Report:
    """Run the analysis on this machine."""
    bounds = Bounds(
        analyses=1,
        threads=os.process_cpu_count() or 1,
        worker_memory_bytes=settings.worker_memory_bytes,
        standby=False,
        file_limits={
            "max_bytes": settings.max_upload_bytes,
            "max_expanded_bytes": settings.max_expanded_bytes,
            "max_rows": settings.max_rows,
            "max_columns": settings.max_columns,
        },
    )
    with Session(bounds) as session:
        return _with_figures(
            wanted,
            analyze_request(
                wanted.path,
                mapping_of(wanted.roles),
                options,
                read=_read_options(wanted.read_options),
                language=wanted.language,
                progress=progress.step,
                session=session,
            ),
        )


def _asked(wanted: Wanted, settings: Settings, options: Mapping[str, JsonValue], progress: "_Progress") -> Report:
    """Have a server run the analysis, which has settings of its own."""
    with Client(wanted.server) as client:
        return _with_figures(
            wanted,
            client.analyze_request(
                wanted.path if wanted.path.exists() else str(wanted.path),
                mapping_of(wanted.roles),
                options,
                read=_read_options(wanted.read_options),
                language=wanted.language,
                progress=progress.step,
            ),
        )


def _with_figures(wanted: Wanted, report: Report) -> Report:
    if wanted.figures is not None:
        report.save_figures(wanted.figures, formats=wanted.formats)
    return report


def _print(wanted: Wanted, report: Report, options: Mapping[str, JsonValue]) -> None:
    files = {
        name: [str(wanted.figures / f"{name}.{suffix}") for suffix in wanted.formats]
        for name in report.figures
        if wanted.figures is not None
    }
    document: dict[str, JsonValue] = {**report.to_dict(), "figures": {name: paths[0] for name, paths in files.items()}}
    if wanted.as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    alpha = options.get("alpha", 0.05)
    show_report(console, document, alpha=alpha if isinstance(alpha, float) else 0.05, language=wanted.language)
    console.print()
    for name, paths in files.items():
        console.print(Text(f"Figure {name}: {', '.join(paths)}"), soft_wrap=True)


def _read_options(given: Sequence[str]) -> dict[str, JsonValue]:
    known = [field.name for field in fields(ReadOptions)]
    options: dict[str, JsonValue] = {}
    for name, value in pairs_of(given, "--read").items():
        if name not in known:
            raise InvalidRequest(Message("request.no-such-read-option", option=name), choices=known)
        options[name] = [word.strip() for word in value.split(",")] if name == "na" else value
    return options


def _value(name: str, text: str) -> JsonValue:
    """Parse an option's value as JSON or plain text; a list as JSON or separated by commas."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        value = text
    if value is None or isinstance(value, list | dict) or not _takes_several(name):
        return value
    return [word.strip() for word in text.split(",")]


def _takes_several(name: str) -> bool:
    field = Options.model_fields.get(name)
    return field is not None and _is_several(field.annotation)


def _is_several(form: object) -> bool:
    """Return whether a type is one of lists, alone, annotated or in a union."""
    if get_origin(form) in (list, tuple):
        return True
    return get_origin(form) in (Annotated, Union, UnionType) and any(map(_is_several, get_args(form)))


class _Progress:
    """Progress output: one updated line on a terminal, elsewhere a line for each step that was not skipped."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("Starting ...")
        self._show: Callable[[str], None] = self._status.update if console.is_terminal else self._line
        if console.is_terminal:
            self._status.start()

    def step(self, message: Mapping[str, object]) -> None:
        """Show one finished step; its notes stay on the terminal."""
        notes = message.get("notes")
        for note in notes if isinstance(notes, list) else ():
            self._console.print(Text(f"{message.get('step')}: {note}", style="yellow"), soft_wrap=True)
        if notes is not None:
            return
        if message.get("status") == "skipped" and not self._console.is_terminal:
            return
        seconds = message.get("seconds")
        spent = f" ({seconds:.3g} s)" if isinstance(seconds, float) else ""
        self._show(f"{message.get('step', 'working')}{spent}")

    def fail(self, error: CqoxError, status: int) -> int:
        """Stop and print an error; return the exit status."""
        self.end()
        detail = error.detail if isinstance(error, InputError) else str(error)
        self._console.print(Text(detail, style="red"), soft_wrap=True)
        if isinstance(error, InputError) and error.choices:
            self._console.print(Text(f"Valid: {', '.join(error.choices)}"), soft_wrap=True)
        return status

    def end(self) -> None:
        """Remove the updated line."""
        self._status.stop()

    def _line(self, text: str) -> None:
        self._console.print(Text(text))
