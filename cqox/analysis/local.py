"""Analysis of one local file without a server, for `cqox analyze`."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anyio import to_thread
from pydantic import JsonValue

from cqox.analysis.service import Analyses, Bounds
from cqox.analysis.workers import Progress
from cqox.contract import AnalyzeRequest, parse_model
from cqox.contract.messages import LANGUAGES, Language, Message, translate_document
from cqox.errors import CqoxError, InvalidRequest, UnreadableFile

__all__ = ["LocalAnalysis", "analyze_file"]

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAnalysis:
    """A finished analysis of a file.

    Attributes:
        report: the report as the API returns it, with paths of written figures in place of URLs.
        figures: figure name to the files written.
    """

    report: Mapping[str, JsonValue]
    figures: Mapping[str, Sequence[Path]]


async def analyze_file(
    path: Path,
    *,
    mapping: Mapping[str, JsonValue],
    options: Mapping[str, JsonValue] | None = None,
    read_options: Mapping[str, JsonValue] | None = None,
    figures: Path | None = None,
    formats: Sequence[Literal["svg", "png", "json"]] = ("svg",),
    bounds: Bounds,
    language: Language = LANGUAGES[0],
    progress: Progress | None = None,
) -> LocalAnalysis:
    """Read a file, analyse it in a worker process, and write its figures.

    Args:
        path: the file, in any upload format.
        mapping: as in a request.
        options: as in a request.
        read_options: options of the file reader, as in an upload.
        figures: folder for the figures, created if missing; None to write none.
        formats: formats of each figure.
        bounds: resource limits of the computation.
        language: language of the sentences in report and figures.
        progress: called with each step; the first is `file`, with `notes` on reading the file and the mapped columns.

    A cancellation ends the worker process; figures already written stay.

    Raises:
        InputError: the file, the mapping or an option must be corrected.
        WorkerLost: the worker process crashed.
    """
    _check_characters(mapping, options, read_options)
    asked = parse_model(
        AnalyzeRequest, {"dataset_id": "file", "mapping": dict(mapping), "options": dict(options or {})}
    )
    # Carried out of the workers' task group, which would wrap it in an ExceptionGroup.
    failure: CqoxError | None = None
    with tempfile.TemporaryDirectory(prefix="cqox-") as scratch:
        async with Analyses.open(Path(scratch), bounds, samples=False) as analyses:
            try:
                digest, size_bytes = await to_thread.run_sync(_digest, path)
                record = await analyses.datasets.add(
                    _readable(path, Path(scratch)),
                    name=os.fsencode(path.name).decode(errors="replace"),
                    content_digest=digest,
                    size_bytes=size_bytes,
                    options=read_options or {},
                )
                if progress is not None:
                    progress({"step": "file", "notes": _notes_on(json.loads(record.description), mapping)})
                request = asked.model_copy(update={"dataset_id": record.dataset_id})
                answer = await analyses.analyze(request, progress=progress)
                report: dict[str, JsonValue] = json.loads(answer.body)
                written = await _write_figures(analyses, report, figures, formats, language)
            except CqoxError as error:
                failure = error
    if failure is not None:
        raise failure
    messages = report["messages"]
    if language != LANGUAGES[0] and isinstance(messages, dict):
        translate_document(report, messages, language)  # type: ignore[arg-type]
    report["figures"] = {name: str(paths[0]) for name, paths in written.items()}
    return LocalAnalysis(report=report, figures=written)


def _check_characters(*given: Mapping[str, JsonValue] | None) -> None:
    # Bytes of a command line that are not UTF-8 arrive as lone surrogates.
    if not _is_utf8(json.dumps(given, ensure_ascii=False)):
        raise InvalidRequest(Message("analysis.not-utf-8"))


def _readable(path: Path, folder: Path) -> Path:
    """Return a path to the file that every reader takes; some take no name whose bytes are not UTF-8."""
    if _is_utf8(str(path)):
        return path
    link = folder / "file"
    link.symlink_to(path.resolve())
    return link


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _notes_on(description: Mapping[str, JsonValue], mapping: Mapping[str, JsonValue]) -> list[str]:
    """Return the notes on reading the file and the mapped columns, and the findings."""
    mapped = {str(name) for given in mapping.values() for name in (given if isinstance(given, list) else [given])}
    notes = [str(note) for note in _list(description.get("notes"))]
    for column in _list(description.get("columns")):
        if isinstance(column, dict) and column.get("name") in mapped:
            notes += [f"{column['name']}: {note}" for note in _list(column.get("notes"))]
    findings = [finding for finding in _list(description.get("findings")) if isinstance(finding, dict)]
    return [*notes, *(str(finding["message"]) for finding in findings)]


def _list(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list) else ()


async def _write_figures(
    analyses: Analyses, report: Mapping[str, JsonValue], folder: Path | None, formats: Sequence[str], language: Language
) -> dict[str, list[Path]]:
    names = report["figures"]
    if folder is None or not isinstance(names, dict):
        return {}
    await to_thread.run_sync(lambda: folder.mkdir(parents=True, exist_ok=True))
    written: dict[str, list[Path]] = {}
    for name in names:
        for suffix in formats:
            content = await analyses.figure(str(report["analysis_id"]), name, suffix, language=language)
            target = folder / f"{name}.{suffix}"
            await to_thread.run_sync(target.write_bytes, content)
            written.setdefault(name, []).append(target)
    return written


def _digest(path: Path) -> tuple[str, int]:
    digest, size_bytes = hashlib.blake2b(digest_size=16), 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                size_bytes += len(block)
    except OSError as error:
        raise UnreadableFile(Message("analysis.unreadable-file", path=str(path), reason=error.strerror)) from error
    return digest.hexdigest(), size_bytes
