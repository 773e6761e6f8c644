"""Tasks of a worker process, by name. All functions run inside a worker and load numerics."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from datetime import datetime
from importlib import import_module
from pathlib import Path

from cqox.analysis.in_place import columns_in_place
from cqox.analysis.inferred_roles import inferred_as_read, inferred_on_disk
from cqox.analysis.part_sizes import fits_memory
from cqox.analysis.place_roles import roles_in_place
from cqox.analysis.preview import preview as preview_analysis
from cqox.analysis.preview import preview_in_place
from cqox.analysis.reader_threads import start_reader_threads
from cqox.analysis.run import StepCallback, analyze, analyze_in_place, warm_up
from cqox.analysis.written import write
from cqox.contract import AnalyzeRequest, Report, parse_model
from cqox.contract.labels import described
from cqox.contract.messages import LANGUAGES, Message, collect_messages
from cqox.datasets import (
    Limits,
    OpenTable,
    ReadOptions,
    join_files,
    look,
    open_table,
    preview,
    sample_names,
    sample_path,
    write_parquet,
)
from cqox.datasets import describe as describe_table
from cqox.diagnostics import definitions
from cqox.errors import InvalidRequest
from cqox.estimators import abandonable, catalog, entries
from cqox.exports import export
from cqox.figures import render_png, render_svg

__all__ = ["load", "perform", "warm"]

_PREVIEW_ROWS = 20
_LATE_MODULES = (
    # What a task with a trace loads, and one that meets a fault of the disk: a task that is abandoned meanwhile would
    # seem not to notice, and its process would be killed.
    "cqox.telemetry.remote", "cqox.storage.disk",
    # What estimators import at their first use.
    "scipy.linalg", "scipy.spatial", "scipy.special", "threadpoolctl",
)  # fmt: skip

type _Arguments = dict[str, object]
type _Answer = tuple[dict[str, object], bytes]


def perform(name: str, arguments: object, on_step: StepCallback, check: Callable[[], None] = lambda: None) -> _Answer:
    """Run the task of this name and return its result: JSON values, and binary data.

    Args:
        name: name of the task.
        arguments: a JSON object.
        on_step: called with each step.
        check: called at cancellation points; raises if the task is abandoned.

    Raises:
        InputError: the client's input is at fault.
    """
    if not isinstance(arguments, dict):
        raise InvalidRequest(Message("analysis.arguments-no-object", task=name))
    with abandonable(check), _opened(arguments) as plain:
        return _TASKS[name](plain, on_step)


def _opened(arguments: _Arguments) -> AbstractContextManager[_Arguments]:
    if "sealed" not in arguments and "seal" not in arguments:
        return nullcontext(arguments)
    # Loaded where it is needed: most installations seal nothing.
    from cqox.analysis.sealed_tasks import unsealed

    return unsealed(arguments)


def load() -> None:
    """Import what the first task would otherwise wait for, without starting a thread."""
    for name in _LATE_MODULES:
        import_module(name)


def warm() -> None:
    """Do everything that the first task would otherwise wait for."""
    load()
    start_reader_threads()
    warm_up()


def _ingest(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    """Convert an uploaded file to a table in `folder`, and return its description."""
    source, folder = Path(str(arguments["path"])), Path(str(arguments["folder"]))
    options = parse_options(arguments.get("options"))
    limits = Limits(**arguments["limits"]) if isinstance(arguments.get("limits"), dict) else Limits()  # type: ignore[arg-type]
    with open_table(source, name=str(arguments["name"]), limits=limits, options=options) as table:
        on_step({"step": "read", "rows": table.description.rows})
        write_parquet(table, folder / "table.parquet")
        return _description(table), b""


def _sheets(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    """Return what an uploaded file looks like before it is read again."""
    options = parse_options(arguments.get("options"))
    limits = Limits(**arguments["limits"]) if isinstance(arguments.get("limits"), dict) else Limits()  # type: ignore[arg-type]
    sheet, encoding = arguments.get("sheet"), arguments.get("encoding")
    found = look(
        Path(str(arguments["path"])),
        limits=limits,
        sheet=sheet if isinstance(sheet, str) else None,
        encoding=encoding if isinstance(encoding, str) else options.encoding,
        delimiter=options.delimiter,
    )
    answer: dict[str, object] = {
        "format": found.format,
        "encoding": found.encoding,
        "delimiter": found.delimiter,
        "sheets": [each.model_dump() for each in found.sheets],
        "note": found.note,
    }
    return {**answer, "messages": collect_messages(answer)}, b""


def _join(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    """Join `files` to one file, `path`."""
    files, partitions = arguments["files"], arguments["partitions"]
    if not isinstance(files, list) or not isinstance(partitions, dict):
        raise InvalidRequest(Message("analysis.arguments-no-object", task="join"))
    join_files(
        [Path(str(each)) for each in files], Path(str(arguments["path"])), is_text=arguments["format"] == "text",
        partitions=partitions,
    )  # fmt: skip
    return {}, b""


def _fit(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    """Return whether a table in `files` is to be read whole."""
    files, limits = arguments["files"], arguments["limits"]
    if not isinstance(files, list) or not isinstance(limits, dict):
        raise InvalidRequest(Message("analysis.arguments-no-object", task="fit"))
    fits = fits_memory(
        [Path(str(each)) for each in files], is_text=arguments["format"] == "text",
        is_single=arguments["single"] is True,
        request=parse_model(AnalyzeRequest, arguments["request"]),  # type: ignore[arg-type]
        limits=Limits(**limits),
    )  # fmt: skip
    return {"in_memory": fits}, b""


def _sample(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    """Create a built-in data set as a table in `folder`, and return its description."""
    name = str(arguments["name"])
    with open_table(sample_path(name), name=name, limits=Limits(), options=ReadOptions()) as table:
        write_parquet(table, Path(str(arguments["folder"])) / "table.parquet")
        return _description(table), b""


def _samples(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    from cqox.datasets import dataset_id

    return {
        "samples": [
            {
                "name": name,
                "digest": dataset_id(sample_path(name), ReadOptions()),
                "size_bytes": sample_path(name).stat().st_size,
            }
            for name in sample_names()
        ]
    }, b""


def parse_options(given: object) -> ReadOptions:
    """Parse read options from JSON values, with defaults for missing ones.

    Raises:
        InvalidRequest: an unknown option.
    """
    if not isinstance(given, dict):
        return ReadOptions()
    known = [field.name for field in fields(ReadOptions)]
    for name in given:
        if name not in known:
            raise InvalidRequest(Message("analysis.no-read-option", option=str(name)), field=str(name), choices=known)
    return ReadOptions(**{str(name): value for name, value in given.items() if value is not None})


def _description(table: OpenTable) -> dict[str, object]:
    inference, described = inferred_as_read(table), table.description
    description: dict[str, object] = {
        "rows": described.rows,
        "columns": [column.to_json() for column in described.columns],
        "format": described.format,
        "encoding": described.encoding,
        "compression": described.compression,
        "notes": list(described.notes),
        "preview": preview(table.cells.head(_PREVIEW_ROWS)),
        "roles": {role: [candidate.to_json() for candidate in found] for role, found in inference.candidates.items()},
        "findings": [finding.model_dump() for finding in described.findings],
    }
    return {**description, "messages": collect_messages(description)}


def _infer(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    place, threads = arguments.get("place"), arguments.get("threads")
    if isinstance(place, dict):
        return roles_in_place(
            place, Path(str(arguments["folder"])), threads=threads if isinstance(threads, int) else 1
        ), b""
    path = Path(str(arguments["path"]))
    table = describe_table(path)
    inference = inferred_on_disk(path, table).to_json()
    answer = {**inference, "findings": [finding.model_dump() for finding in table.findings]}
    return {**answer, "messages": collect_messages(answer)}, b""


def _analyze(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    request = parse_model(AnalyzeRequest, arguments["request"])  # type: ignore[arg-type]
    given, place = arguments.get("threads"), arguments.get("place")
    threads = given if isinstance(given, int) else 1
    if isinstance(place, dict):
        finished = analyze_in_place(place, request, Path(str(arguments["folder"])), threads=threads, on_step=on_step)
    else:
        finished = analyze(Path(str(arguments["path"])), request, threads=threads, on_step=on_step)
    return write(
        finished.report, finished.specs, rows=finished.rows, rows_used=finished.rows_used, seconds=finished.seconds,
        engine=finished.engine,
    )  # fmt: skip


def _columns(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    """Return the columns of a table in place: those that can be analysed, then the others with their types."""
    place = arguments["place"]
    if not isinstance(place, dict):
        raise InvalidRequest(Message("analysis.arguments-no-object", task="columns"))
    return {"columns": columns_in_place(place, Path(str(arguments["folder"])))}, b""


def _preview(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    request = parse_model(AnalyzeRequest, arguments["request"])  # type: ignore[arg-type]
    given, place = arguments.get("threads"), arguments.get("place")
    threads = given if isinstance(given, int) else 1
    if isinstance(place, dict):
        return preview_in_place(place, request, Path(str(arguments["folder"])), threads=threads), b""
    return preview_analysis(Path(str(arguments["path"])), request, threads=threads), b""


def _render(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    spec = arguments["spec"]
    if not isinstance(spec, dict):
        raise InvalidRequest(Message("analysis.specification-no-object"))
    return {}, render_svg(spec) if arguments["format"] == "svg" else render_png(spec)


def _export(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    """Write a report as a document; `created_at`, `title` and `remarks` may be absent."""
    report, specs = arguments["report"], arguments["specs"]
    if not isinstance(report, dict) or not isinstance(specs, dict):
        raise InvalidRequest(Message("analysis.arguments-no-object", task="export"))
    created_at, language = arguments.get("created_at"), arguments.get("language")
    title, remarks = arguments.get("title"), arguments.get("remarks")
    return {}, export(
        Report.model_validate(report),
        str(arguments["format"]),
        specs,
        language=next((each for each in LANGUAGES if each == language), LANGUAGES[0]),
        created_at=datetime.fromisoformat(created_at) if isinstance(created_at, str) else None,
        title=title if isinstance(title, str) else None,
        remarks=remarks if isinstance(remarks, str) else None,
    )


def _catalog(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    usual = catalog()
    answer: dict[str, object] = {
        "estimators": [
            {
                "name": entry.name,
                "label": described(entry.name),
                "family": entry.family,
                "estimand": entry.estimand,
                "summary": entry.summary,
                "requires": list(entry.requires),
                "optional": list(entry.optional),
                "standard_error": entry.standard_error,
                "paper": entry.paper,
                "doi": entry.doi,
                "checked_against": entry.checked_against,
                "on_request": entry not in usual,
            }
            for entry in entries()
        ]
    }
    return {**answer, "messages": collect_messages(answer)}, b""


def _definitions(arguments: _Arguments, on_step: StepCallback) -> _Answer:
    answer: dict[str, object] = {"definitions": [definition.model_dump() for definition in definitions()]}
    return {**answer, "messages": collect_messages(answer)}, b""


_TASKS: dict[str, Callable[[_Arguments, StepCallback], _Answer]] = {
    "analyze": _analyze,
    "catalog": _catalog,
    "columns": _columns,
    "definitions": _definitions,
    "export": _export,
    "fit": _fit,
    "infer": _infer,
    "ingest": _ingest,
    "join": _join,
    "preview": _preview,
    "render": _render,
    "sample": _sample,
    "samples": _samples,
    "sheets": _sheets,
}
