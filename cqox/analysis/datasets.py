"""Data sets of one engine: uploads, built-in samples, and suggested roles of columns.

Imports no numerics: the worker processes read files.
"""

import json
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from pydantic import JsonValue

from cqox import clock
from cqox.analysis.builtin_datasets import BuiltinDatasets, record_of
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.workers import WorkerPool
from cqox.contract import dataset_id as dataset_id_of
from cqox.contract import near_words
from cqox.contract.messages import Message, joined
from cqox.errors import InvalidRequest, NotFound, StorageFull, StoreUnavailable
from cqox.fault_points import fault_point
from cqox.storage import DatasetRecord, Original, Readable, ResultStore, TenantFiles, Writer
from cqox.tasks import TaskGroup
from cqox.telemetry import metric_definitions, metrics

__all__ = ["Datasets"]

_MET = 1_000
_MET_SECONDS = 1.0
_NOTE_SECONDS = 600.0
_logger = logging.getLogger("cqox.analysis")


class Datasets:
    """Registry and files of the available data sets.

    Args:
        pool: the worker processes, which read files.
        store: the registry.
        files: the files of the data sets.
        quarantine: uploads rejected after repeated worker crashes.
        limits: settings of `cqox.datasets.Limits` by name; missing ones have its defaults.
        samples: whether `prepare_samples` will be called; until it has finished no data set is reported as unknown.
        now: monotonic clock, in seconds.
        epoch: returns a number that changes once the registry has lost its content.
        shared: the data sets of another tenant, whose built-in ones can be read here; None where they are its own.
    """

    def __init__(
        self,
        *,
        pool: WorkerPool,
        store: ResultStore,
        files: TenantFiles,
        quarantine: Quarantine,
        limits: Mapping[str, int],
        samples: bool,
        now: Callable[[], float] = clock.monotonic,
        epoch: Callable[[], int] = lambda: 0,
        shared: "Datasets | None" = None,
    ) -> None:
        self._pool = pool
        self._store = store
        self._files = files
        self._quarantine = quarantine
        self._limits = limits
        self._now = now
        # For cached reports a registry lookup would take longer than the report itself.
        self._met: dict[str, tuple[DatasetRecord, float]] = {}
        self._noted: dict[str, float] = {}
        self._builtin = BuiltinDatasets(pool=pool, store=store, files=files, expected=samples)
        self._epoch = epoch
        self._of_epoch = 0
        self._shared = shared

    @property
    def scratch(self) -> Path:
        """Folder for uploads in progress, on the file system of the data sets."""
        return self._files.scratch

    @property
    def plain_scratch(self) -> Path:
        """Folder for files that are written as they are: that for temporary files where uploads are sealed."""
        return Path(tempfile.gettempdir()) if self._files.sealing.is_on else self._files.scratch

    def upload_writer(self, file: IO[bytes]) -> Writer:
        """Return a writer of the bytes of an upload, which closes the file; blocking."""
        return self._files.upload_writer(file)

    async def prepare_samples(self, group: TaskGroup) -> None:
        """Create and register the built-in data sets; `group` retries what fails now for a reason that passes.

        Such are a disk or registry that rejects it, and a worker that is killed, or gives no answer in time. Any other
        failure is raised, here and to callers that wait for a data set.
        """
        await self._builtin.prepare_now_or_later(group)

    async def add(
        self,
        path: Path,
        *,
        name: str,
        content_digest: str,
        size_bytes: int,
        options: Mapping[str, JsonValue],
        keep_original: bool = False,
        owner: str | None = None,
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> DatasetRecord:
        """Read an uploaded file and store it as a data set; the same bytes are the same data set.

        A cancellation leaves no files.

        Args:
            path: the file.
            name: the client's name for it.
            content_digest: as `cqox.contract.file_digest` returns it.
            size_bytes: its size.
            options: options of reading it, as an upload has them.
            keep_original: whether the file is kept with the data set, by a hard link, so that nobody may change it.
            owner: the subject that registers it, unless it is known already.
            check: awaited once the file has been read; if it raises, nothing is stored.

        Raises:
            UnreadableFile, LimitExceeded, UnusableData: the file is at fault.
        """
        given = {key: value for key, value in options.items() if value is not None}
        dataset_id = dataset_id_of(content_digest, given)
        known = await self._store.dataset(dataset_id)
        if known is not None and await self._files.has(dataset_id):
            if keep_original and not (await self._files.original(dataset_id))[1]:
                await self._keep_original(known, path, content_digest, given)
            await self._files.use(dataset_id)
            return known
        await self._files.check_room()
        folder = self._files.incoming()
        try:
            keys = await self._files.ingesting(path, dataset_id)
            task = {
                "path": str(path),
                "folder": str(folder),
                "name": name,
                "options": given,
                "limits": dict(self._limits),
                **keys.to_arguments(),
            }
            reply = await self._quarantine.guard(dataset_id, lambda: self._pool.run("ingest", task))
            record = record_of(reply, dataset_id, dataset_id, name, size_bytes, sample=False)
            record = replace(record, owner=owner)
            if check is not None:
                await check()
            await self._files.check_room()
            await self._files.keep(folder, record)
            fault_point("dataset.kept", dataset_id)
        except BaseException:
            await self._files.drop(folder)
            raise
        metrics.record(metric_definitions.DATASET_SIZE, size_bytes)
        entered = await self._entered(record)
        fault_point("dataset.registered", dataset_id)
        if keep_original:
            await self._keep_original(record, path, content_digest, given)
        return entered

    async def _keep_original(
        self, record: DatasetRecord, path: Path, content_digest: str, options: Mapping[str, JsonValue]
    ) -> None:
        original = Original(
            name=record.name,
            digest=content_digest,
            size_bytes=record.size_bytes,
            encoding=json.loads(record.description).get("encoding"),
            options=options,
        )
        await self._files.keep_original(record.dataset_id, path, original)

    async def get_for_analysis(self, dataset_id: str) -> DatasetRecord:
        """Return the data set as `get` does, from a cache that may miss a deletion by another engine for a second.

        A data set never changes, and an analysis without its files raises an error.

        Raises:
            NotFound: there is no such data set.
        """
        record, until = self._met.get(dataset_id, (None, 0.0))
        now = self._now()
        if record is None or until <= now:
            record = await self.get(dataset_id)
            await self._note_use(dataset_id)
            # A description may be large: entries are dropped once they expire, in the order of insertion.
            self._met.pop(dataset_id, None)
            while self._met and (len(self._met) >= _MET or next(iter(self._met.values()))[1] <= now):
                del self._met[next(iter(self._met))]
            self._met[dataset_id] = (record, now + _MET_SECONDS)
        return record

    async def _note_use(self, dataset_id: str) -> None:
        # An analysis answered from a cache counts as a use too.
        now = self._now()
        if now - self._noted.get(dataset_id, -_NOTE_SECONDS) >= _NOTE_SECONDS:
            self._noted.pop(dataset_id, None)
            while len(self._noted) >= _MET:
                del self._noted[next(iter(self._noted))]
            self._noted[dataset_id] = now
            await self._files.use(dataset_id)

    async def get(self, dataset_id: str) -> DatasetRecord:
        """Return the data set with this id. Unknown ones are reported only once the built-in ones exist.

        Raises:
            NotFound: there is no such data set.
            StoreUnavailable, WorkersUnavailable: it may be a built-in one, and creating those failed.
        """
        record, builtin = await self._find(dataset_id), (self._shared or self)._builtin
        if record is None and not builtin.tried.is_set():
            await builtin.tried.wait()
            record = await self._find(dataset_id)
        if record is None:
            builtin.check_unknown(dataset_id)
            known = [other.dataset_id for other in await self.all()]
            near = near_words(dataset_id, known)
            unknown = Message("analysis.no-dataset", dataset=dataset_id[:100])
            meant = [Message("analysis.did-you-mean", words=near)] if near else []
            raise NotFound(
                joined([unknown, *meant, Message("analysis.upload-dataset")]),
                field="dataset_id",
                choices=[*near, *(name for name in known if name not in near)][:20],
            )
        return record

    async def all(self) -> Sequence[DatasetRecord]:
        """Return every data set: the built-in ones first, then newest first."""
        found = await self._store.datasets()
        own = await self._store.datasets() if await self._register_again() else found
        return own if self._shared is None else [*await self._shared.builtin(), *own]

    async def builtin(self) -> Sequence[DatasetRecord]:
        """Return the built-in data sets."""
        return [record for record in await self.all() if record.sample]

    async def delete(self, dataset_id: str) -> None:
        """Delete a data set; its reports stay, and running analyses finish.

        Raises:
            NotFound: there is no such data set.
            InvalidRequest: it is built in.
        """
        await self.get_deletable(dataset_id)
        try:
            await self._store.forget(dataset_id)
        except StoreUnavailable:
            if not await self._files.is_full():
                raise
            # On a full disk the registry cannot delete the row before space is freed.
            await self._files.delete(dataset_id)
            await self._store.forget(dataset_id)
        self._met.pop(dataset_id, None)
        await self._files.delete(dataset_id)

    async def rename(self, dataset_id: str, name: str) -> DatasetRecord:
        """Give a data set another name and return it; its id and its reports stay.

        Raises:
            NotFound: there is no such data set.
            InvalidRequest: it is built in.
        """
        record = await self.get(dataset_id)
        if record.sample:
            raise InvalidRequest(Message("analysis.built-in-name", dataset=dataset_id))
        renamed = await self._store.rename(dataset_id, name)
        if renamed is None:
            # It was deleted meanwhile, or the registry has lost it.
            return await self.rename(dataset_id, name)
        self._met.pop(dataset_id, None)
        await self._files.rename(dataset_id, name)
        return renamed

    async def get_deletable(self, dataset_id: str) -> DatasetRecord:
        """Return the data set with this id if it can be deleted.

        Raises:
            NotFound: there is no such data set.
            InvalidRequest: it is built in.
        """
        record = await self.get(dataset_id)
        if record.sample:
            raise InvalidRequest(Message("analysis.built-in-dataset", dataset=dataset_id))
        return record

    async def check_room(self, wanted_bytes: int = 0) -> None:
        """Raise unless there is space for a file of this size; see `TenantFiles.check_room`."""
        await self._files.check_room(wanted_bytes)

    def make_room(self) -> None:
        """Check as `check_room` does; blocking."""
        self._files.room.make()

    @asynccontextmanager
    async def reading(self, record: DatasetRecord) -> AsyncIterator[Readable]:
        """Yield the table, readable until the block exits; a damaged built-in one is created again.

        Raises:
            NotFound: the files of an upload are missing or damaged.
        """
        if record.sample and self._shared is not None:
            async with self._shared.reading(record) as table:
                yield table
            return
        async with AsyncExitStack() as stack:
            try:
                table = await stack.enter_async_context(self._files.reading(record.dataset_id))
            except NotFound as error:
                if not record.sample:
                    raise
                await self._builtin.restore(record)
                _logger.error("%s. It is built in, and was created again.", error.detail.partition(";")[0])
                table = await stack.enter_async_context(self._files.reading(record.dataset_id))
            yield table

    async def infer(self, dataset_id: str) -> Mapping[str, object]:
        """Suggest roles for the columns, as `cqox.contract.Inference`."""
        record = await self.get(dataset_id)
        async with self.reading(record) as table:
            reply = await self._pool.run("infer", table.to_arguments())
        return {"dataset_id": record.dataset_id, **reply.body}

    async def _entered(self, record: DatasetRecord) -> DatasetRecord:
        try:
            entered = await self._store.register(record)
        except StorageFull:
            # Files without a row could not be deleted by any request, and would fill the disk.
            if await self._store.dataset(record.dataset_id) is None:
                await self._files.delete(record.dataset_id)
            raise
        if not await self._files.has(record.dataset_id):
            raise StoreUnavailable(Message("analysis.deleted-during-upload", dataset=record.dataset_id))
        return entered

    async def _find(self, dataset_id: str) -> DatasetRecord | None:
        """Return the data set from the registry, or else from its files; a built-in one of another tenant as well."""
        if self._shared is None:
            return await self._find_own(dataset_id)
        try:
            found = await self._find_own(dataset_id)
        except StoreUnavailable:
            found = await self._shared._files.record(dataset_id)
            if found is None or not found.sample:
                raise
            return found
        if found is None:
            found = await self._shared._find_own(dataset_id)
            return found if found is not None and found.sample else None
        return found

    async def _find_own(self, dataset_id: str) -> DatasetRecord | None:
        try:
            found = await self._store.dataset(dataset_id)
            return await self._store.dataset(dataset_id) if await self._register_again() else found
        except StoreUnavailable:
            # An analysis needs the files and their manifest, but not the registry.
            record = await self._files.record(dataset_id)
            if record is None:
                raise
            return record

    async def _register_again(self) -> bool:
        """Register data sets from their files after a loss of the registry; return whether it was lost."""
        epoch = self._epoch()
        if epoch == self._of_epoch:
            return False
        for dataset_id in await self._files.kept():
            record = await self._files.record(dataset_id)
            if record is not None:
                await self._store.register(record)
        self._of_epoch = epoch
        return True
