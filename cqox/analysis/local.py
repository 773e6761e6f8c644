"""Analyses on this machine without a server, for the Python interface and the command line."""

import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from anyio import CancelScope
from pydantic import JsonValue

from cqox.analysis.bounds import Bounds
from cqox.analysis.jobs import without_result
from cqox.analysis.mirror import Mirror
from cqox.analysis.own_addresses import OwnAddresses
from cqox.analysis.own_tables import own_table
from cqox.analysis.parts import Parts
from cqox.analysis.places import PlaceRecord, Places
from cqox.analysis.service import Analyses
from cqox.analysis.source_datasets import add_source
from cqox.analysis.tenant import TenantAnalyses
from cqox.analysis.workers import Progress, WorkerPool
from cqox.contract import AnalyzeRequest, parse_model, reading_notes
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.sources import Query, Source, kind_of, path_of
from cqox.storage import DEFAULT_TENANT, DatasetRecord
from cqox.threads import run_in_thread

__all__ = ["LocalAnalyses", "LocalReport"]

MOST_COPIED_BYTES = 200 * 2**30
"""The most that copies of tables that lie elsewhere take in the temporary folder of the system."""
_KEPT = 8
"""Data sets that are kept; the one that was used longest ago is deleted first."""
_FILES: Mapping[str, JsonValue] = {"dataset_id": "files"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalReport:
    """A finished analysis.

    Attributes:
        body: the report as the API returns it, JSON bytes.
        figures: figure name to Vega-Lite specification, JSON bytes.
    """

    body: bytes
    figures: bytes


class LocalAnalyses:
    """Data sets and analyses in a temporary folder. Open it with `LocalAnalyses.open`."""

    def __init__(self, analyses: TenantAnalyses, folder: Path, limits: Mapping[str, int], mirror: Mirror) -> None:
        self._analyses = analyses
        self._limits = limits
        self._mirror = mirror
        self._folder = folder
        self._files = 0
        self._kept = OrderedDict[str, None]()

    @classmethod
    @asynccontextmanager
    async def open(cls, bounds: Bounds, pool: WorkerPool | None = None) -> AsyncIterator[Self]:
        """Open the folder, and delete it on exit.

        Args:
            bounds: resource limits.
            pool: a pool made by `open_pool` for these bounds; by default one that ends on exit.
        """
        # A thread that was left at a cancellation may still write; what it adds must not fail what was computed.
        with tempfile.TemporaryDirectory(prefix="cqox-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            parts = Parts() if pool is None else Parts(open_pool=lambda _: nullcontext(pool))
            mirror = Mirror(folder / "copies", most_bytes=MOST_COPIED_BYTES)
            placed = replace(bounds, places=Places({}, mirror))
            async with Analyses.open(folder, placed, samples=False, parts=parts) as analyses:
                yield cls(analyses.within(DEFAULT_TENANT), folder, bounds.file_limits, mirror)

    def new_file(self) -> Path:
        """Return the path of a file that does not exist yet, in the temporary folder."""
        self._files += 1
        return self._folder / f"given-{self._files}"

    async def add(
        self, path: Path, *, name: str, digest: str, size_bytes: int, read_options: Mapping[str, JsonValue]
    ) -> DatasetRecord:
        """Read a file as a data set.

        Args:
            path: the file, in any upload format.
            name: its name for people.
            digest: of its bytes, as `file_digest` returns it.
            size_bytes: its size.
            read_options: options of the file reader, as in an upload.

        Raises:
            InputError: the file or an option must be corrected.
        """
        _check_characters(read_options)
        link = _readable(path, self.new_file())
        try:
            record = await self._analyses.datasets.add(
                link, name=name, content_digest=digest, size_bytes=size_bytes, options=read_options
            )
        finally:
            if link != path:
                link.unlink(missing_ok=True)
        return await self._keep(record)

    async def add_source(self, source: Source, *, read_options: Mapping[str, JsonValue]) -> DatasetRecord:
        """Fetch a source and read it as a data set.

        Args:
            source: a path, an address or a query.
            read_options: options of the file reader, as in an upload.

        Raises:
            InputError: the source cannot be fetched or read.
        """
        _check_characters(read_options)
        link, read = self.new_file(), source
        if not isinstance(source, Query) and kind_of(source) == "file":
            read = _readable(path_of(source), link)
        try:
            record = await add_source(
                self._analyses.datasets, self._analyses.pool, read, scratch=self.new_file(),
                name=_name(source), read_options=read_options,
            )  # fmt: skip
        finally:
            link.unlink(missing_ok=True)
        return await self._keep(record)

    async def own_table(
        self,
        source: Source,
        *,
        mapping: Mapping[str, JsonValue],
        options: Mapping[str, JsonValue],
        read_options: Mapping[str, JsonValue],
        progress: Callable[[Mapping[str, object]], None] = lambda _: None,
    ) -> DatasetRecord | None:
        """Return files that have to be summed where they are, or where their copy is, as the other methods take them.

        What has been copied stays until `remove_copies`.

        Args:
            source: a path, an address or a query.
            mapping: as in a request.
            options: as in a request.
            read_options: options of the file reader, as in an upload.
            progress: called with each step of a copy.

        Returns:
            The files, or a data set where a copy of them has been read; None for data that are to be read whole.

        Raises:
            InputError: the files are no parts of one table, or an argument must be corrected.
        """
        if isinstance(source, Query):
            return None
        _check_characters(mapping, options, read_options)
        request = parse_model(AnalyzeRequest, {**_FILES, "mapping": dict(mapping), "options": dict(options)})
        if kind_of(source) != "file":
            mine = self._analyses
            own = OwnAddresses(pool=mine.pool, datasets=mine.datasets, places=mine.places, limits=self._limits)
            found = await own.table(
                str(source), request, scratch=self.new_file(), read_options=read_options, report=progress
            )
            return found if found is None or isinstance(found, PlaceRecord) else await self._keep(found)
        place = await own_table(
            self._analyses.pool, path_of(source), request, read_options=read_options, limits=self._limits
        )
        return None if place is None else await self._analyses.places.named(place, place.tables[0])

    async def remove_copies(self) -> None:
        """Remove the copies of tables that lie elsewhere, but for those that another call uses."""
        with CancelScope(shield=True):
            await run_in_thread(self._mirror.clear)

    async def _keep(self, record: DatasetRecord) -> DatasetRecord:
        self._kept[record.dataset_id] = None
        self._kept.move_to_end(record.dataset_id)
        while len(self._kept) > _KEPT:
            await self._analyses.retention.delete_dataset(self._kept.popitem(last=False)[0], reports=True)
        return record

    async def analyze(
        self,
        record: DatasetRecord,
        *,
        mapping: Mapping[str, JsonValue],
        options: Mapping[str, JsonValue],
        progress: Progress | None = None,
    ) -> LocalReport:
        """Analyse a data set, in a worker process.

        A cancellation ends the computation.

        Args:
            record: the data set, or files from `own_table`.
            mapping: as in a request.
            options: as in a request.
            progress: called with each step; the first is `file`, with `notes` on reading the file
                and the mapped columns.

        Raises:
            InputError: the mapping, an option or the data must be corrected.
            WorkerLost: the worker process crashed.
        """
        _check_characters(mapping, options)
        placed = record if isinstance(record, PlaceRecord) else None
        request = parse_model(AnalyzeRequest, {**_named(record), "mapping": dict(mapping), "options": dict(options)})
        if progress is not None:
            notes = [] if placed is not None else reading_notes(json.loads(record.description), mapping)
            progress({"step": "file", "notes": notes})
        answer = await self._analyses.analyze(
            request, record=placed, progress=None if progress is None else _steps_to(progress)
        )
        stored = await self._analyses.report(answer.analysis_id)
        return LocalReport(body=answer.body, figures=stored.figures)

    async def preview(
        self, record: DatasetRecord, *, mapping: Mapping[str, JsonValue], options: Mapping[str, JsonValue]
    ) -> dict[str, JsonValue]:
        """Return what an analysis would use and could find, as `POST /api/analyze/preview` does.

        Args:
            record: the data set, or files from `own_table`.
            mapping: as in a request.
            options: as in a request.

        Raises:
            InputError: the mapping, an option or the data must be corrected.
            WorkerLost: the worker process crashed.
        """
        _check_characters(mapping, options)
        body: dict[str, JsonValue] = {**_named(record), "mapping": dict(mapping), "options": dict(options)}
        found = await self._analyses.previews.preview(
            parse_model(AnalyzeRequest, body), record=record if isinstance(record, PlaceRecord) else None
        )
        return dict(found)  # type: ignore[arg-type]

    async def infer_roles(self, record: DatasetRecord) -> Mapping[str, object]:
        """Return the suggested roles of a data set, or of files from `own_table`, as `POST /api/roles/infer` does."""
        if isinstance(record, PlaceRecord):
            return await self._analyses.place_columns.roles_of(record)
        return await self._analyses.datasets.infer(record.dataset_id)

    async def run(self, task: str, arguments: Mapping[str, object]) -> tuple[Mapping[str, object], bytes]:
        """Run a task of `cqox.analysis.work` in the worker process and return its JSON value and its data."""
        reply = await self._analyses.pool.run(task, arguments)
        return reply.body, reply.payload


def _named(record: DatasetRecord) -> dict[str, JsonValue]:
    """Return the members of a request that name its data."""
    if isinstance(record, PlaceRecord):
        return {"source": record.place.name, "table": record.table}
    return {"dataset_id": record.dataset_id}


def _steps_to(progress: Progress) -> Progress:
    """Return what passes steps on as a server sends them."""
    return lambda step: progress(without_result(step))


def _check_characters(*given: Mapping[str, JsonValue] | None) -> None:
    # Bytes of a command line that are not UTF-8 arrive as lone surrogates.
    if not _is_utf8(json.dumps(given, ensure_ascii=False)):
        raise InvalidRequest(Message("analysis.not-utf-8"))


def _name(source: Source) -> str | None:
    """Return the name of a path, whatever its bytes; None where fetching finds one."""
    if isinstance(source, Query) or kind_of(source) != "file":
        return None
    return os.fsencode(Path(source).name).decode(errors="replace")


def _readable(path: Path, link: Path) -> Path:
    """Return a path to the file that every reader takes; some take no name whose bytes are not UTF-8."""
    if _is_utf8(str(path)) or not _has_content(path):
        return path
    link.symlink_to(path.resolve())
    return link


def _has_content(path: Path) -> bool:
    """Return whether a path can be read; if not, an error names the path itself, no link to it."""
    return (path.is_file() or path.is_dir()) and os.access(path, os.R_OK)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
