"""`cqox analyze`: one file, one analysis, no server."""

import csv
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Literal, get_args, get_origin

import trio
from pydantic import JsonValue
from rich.console import Console
from rich.text import Text

from cqox.analysis.local import LocalAnalysis, analyze_file
from cqox.analysis.service import Bounds
from cqox.contract import ROLES, Options
from cqox.datasets import ReadOptions
from cqox.errors import CqoxError, InputError, InvalidRequest
from services.cli.report import show_report
from services.config.configuration import SettingsError, load
from services.config.settings import Settings

__all__ = ["FigureFormat", "Wanted", "analyze", "mapping_of", "pairs_of"]

type FigureFormat = Literal["svg", "png", "json"]

_WIDE = 120
_USAGE = 2
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        path: the file.
        roles: role name to what was given for it, one string for each flag.
        options: `name=value` strings, options of the analysis.
        read_options: `name=value` strings, how to read the file.
        figures: folder for the figures; None writes none.
        formats: what to write of each figure.
        as_json: print the report as JSON instead of tables.
    """

    path: Path
    roles: Mapping[str, Sequence[str]]
    options: Sequence[str]
    read_options: Sequence[str]
    figures: Path | None
    formats: Sequence[FigureFormat]
    as_json: bool


def analyze(wanted: Wanted) -> int:
    """Run the analysis; progress goes to standard error, the result to standard output.

    Returns:
        The exit status: 0 for a report, 1 where the data cannot be used or no estimate came out, 2 where the command
        line must be corrected, 130 after Ctrl-C.
    """
    progress = _Progress(Console(stderr=True, highlight=False))
    try:
        settings = load(os.environ).settings
        options = {name: _value(name, text) for name, text in pairs_of(wanted.options, "--option").items()}
        result = _computed(wanted, settings, options, progress)
    except (SettingsError, InvalidRequest) as error:
        return progress.fail(error, _USAGE)
    except CqoxError as error:
        return progress.fail(error, 1)
    progress.end()
    if result is None:
        return _INTERRUPTED
    _print(wanted, result, options)
    return 1 if result.report["status"] == "failed" else 0


def mapping_of(roles: Mapping[str, Sequence[str]]) -> dict[str, JsonValue]:
    """The mapping of a request from flags; names of several columns are separated by commas, quoted as in CSV.

    Raises:
        InvalidRequest: a role of one column was given several.
    """
    mapping: dict[str, JsonValue] = {}
    for name, given in roles.items():
        if not given:
            continue
        if ROLES[name].arity == "columns":
            mapping[name] = [column.strip() for row in csv.reader(given, skipinitialspace=True) for column in row]
        elif len(given) > 1:
            raise InvalidRequest(f"--{name.replace('_', '-')} was given {len(given)} times; it takes one column.")
        else:
            mapping[name] = given[0]
    return mapping


def pairs_of(given: Sequence[str], flag: str) -> dict[str, str]:
    """`name=value` strings as a mapping.

    Raises:
        InvalidRequest: one of them has no equals sign.
    """
    pairs: dict[str, str] = {}
    for text in given:
        name, found, value = text.partition("=")
        if not found:
            known = sorted(Options.model_fields) if flag == "--option" else ()
            raise InvalidRequest(f"{flag} takes name=value, not '{text}'.", choices=known)
        pairs[name.strip()] = value
    return pairs


def _computed(
    wanted: Wanted, settings: Settings, options: Mapping[str, JsonValue], progress: "_Progress"
) -> LocalAnalysis | None:
    """The analysis, None where somebody pressed Ctrl-C."""
    result = None
    with suppress(KeyboardInterrupt):
        result = trio.run(_run, wanted, settings, options, progress, strict_exception_groups=True)
    return result


async def _run(
    wanted: Wanted, settings: Settings, options: Mapping[str, JsonValue], progress: "_Progress"
) -> LocalAnalysis:
    bounds = Bounds(
        analyses=1,
        threads=os.process_cpu_count() or 1,
        worker_memory_bytes=settings.worker_memory_bytes,
        file_limits={
            "max_bytes": settings.max_upload_bytes,
            "max_expanded_bytes": settings.max_expanded_bytes,
            "max_rows": settings.max_rows,
            "max_columns": settings.max_columns,
        },
    )
    return await analyze_file(
        wanted.path,
        mapping=mapping_of(wanted.roles),
        options=options,
        read_options=_read_options(wanted.read_options),
        figures=wanted.figures,
        formats=wanted.formats,
        bounds=bounds,
        progress=progress.step,
    )


def _print(wanted: Wanted, result: LocalAnalysis, options: Mapping[str, JsonValue]) -> None:
    if wanted.as_json:
        sys.stdout.write(json.dumps(result.report, ensure_ascii=False, indent=2) + "\n")
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    alpha = options.get("alpha", 0.05)
    show_report(console, result.report, alpha=alpha if isinstance(alpha, float) else 0.05)
    console.print()
    for name, paths in result.figures.items():
        console.print(Text(f"Figure {name}: {', '.join(map(str, paths))}"), soft_wrap=True)


def _read_options(given: Sequence[str]) -> dict[str, JsonValue]:
    known = [field.name for field in fields(ReadOptions)]
    options: dict[str, JsonValue] = {}
    for name, value in pairs_of(given, "--read").items():
        if name not in known:
            raise InvalidRequest(f"There is no read option '{name}'.", choices=known)
        options[name] = [word.strip() for word in value.split(",")] if name == "na" else value
    return options


def _value(name: str, text: str) -> JsonValue:
    """The option's value from JSON or plain text; several values from JSON or separated by commas."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        value = text
    if value is None or isinstance(value, list) or not _takes_several(name):
        return value
    return [word.strip() for word in text.split(",")]


def _takes_several(name: str) -> bool:
    field = Options.model_fields.get(name)
    form = None if field is None else field.annotation
    return any(get_origin(one) in (list, tuple) for one in (get_args(form) if isinstance(form, UnionType) else [form]))


class _Progress:
    """The step at hand: a line that changes on a terminal, elsewhere a line for each step that was not skipped."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("Starting ...")
        self._show: Callable[[str], None] = self._status.update if console.is_terminal else self._line
        if console.is_terminal:
            self._status.start()

    def step(self, told: Mapping[str, object]) -> None:
        """Show one step that is done; notes on it stay where they can be read."""
        notes = told.get("notes")
        for note in notes if isinstance(notes, list) else ():
            self._console.print(Text(f"{told.get('step')}: {note}", style="yellow"), soft_wrap=True)
        if notes is not None:
            return
        if told.get("status") == "skipped" and not self._console.is_terminal:
            return
        seconds = told.get("seconds")
        spent = f" ({seconds:.3g} s)" if isinstance(seconds, float) else ""
        self._show(f"{told.get('step', 'working')}{spent}")

    def fail(self, error: CqoxError, status: int) -> int:
        """End with an error that people can act on."""
        self.end()
        detail = error.detail if isinstance(error, InputError) else str(error)
        self._console.print(Text(detail, style="red"), soft_wrap=True)
        if isinstance(error, InputError) and error.choices:
            self._console.print(Text(f"Valid: {', '.join(error.choices)}"), soft_wrap=True)
        return status

    def end(self) -> None:
        """Take the changing line away."""
        self._status.stop()

    def _line(self, text: str) -> None:
        self._console.print(Text(text))
