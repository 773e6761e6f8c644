"""The data sets of one engine: uploads read and kept, the built-in ones, and which column may play which role.

Loads no numerics itself: files are read in the worker processes.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import anyio
from pydantic import JsonValue

from cqox.analysis.key import canonical_json, digest
from cqox.analysis.quarantine import Quarantine
from cqox.analysis.workers import Reply, WorkerPool
from cqox.contract import near_words
from cqox.errors import InvalidRequest, NotFound, StorageFull, StoreUnavailable, WorkersUnavailable
from cqox.storage import DatasetRecord, FileStore, ResultStore
from cqox.tasks import TaskGroup
from cqox.telemetry import metric_definitions, metrics

__all__ = ["Datasets"]

_REGISTER_PAUSE_SECONDS = 5.0
_MET = 1_000
_MET_SECONDS = 1.0
_NOTE_SECONDS = 600.0
_logger = logging.getLogger("cqox.analysis")


class Datasets:
    """The tables that can be analysed.

    Args:
        pool: the worker processes, which read files.
        store: the registry.
        files: where tables are.
        quarantine: which uploads are refused for what they did to their workers.
        limits: settings of `cqox.datasets.Limits` by name; those left out have its defaults.
        samples: whether `prepare_samples` will be called; until it is done no data set is called unknown.
        now: seconds on a clock that only goes forward.
        epoch: a number that is another one once the registry has lost what was in it.
    """

    def __init__(
        self,
        *,
        pool: WorkerPool,
        store: ResultStore,
        files: FileStore,
        quarantine: Quarantine,
        limits: Mapping[str, int],
        samples: bool,
        now: Callable[[], float] = time.monotonic,
        epoch: Callable[[], int] = lambda: 0,
    ) -> None:
        self._pool = pool
        self._store = store
        self._files = files
        self._quarantine = quarantine
        self._limits = limits
        self._now = now
        # Whoever asks the registry for each of many cached reports waits longer for it than for the reports.
        self._met: dict[str, tuple[DatasetRecord, float]] = {}
        self._noted: dict[str, float] = {}
        self._samples_there = anyio.Event()
        self._samples_failure: Exception | None = None
        self._making = anyio.Lock()
        self._epoch = epoch
        self._of_epoch = 0
        if not samples:
            self._samples_there.set()

    @property
    def scratch(self) -> Path:
        """A folder for files on their way in, on the file system where data sets are kept."""
        return self._files.scratch

    async def prepare_samples(self, group: TaskGroup) -> None:
        """See that the built-in data sets are there; what disk or registry do not take now, `group` tries again.

        Any other failure is raised, here and to those that wait for a data set.
        """
        try:
            await self._prepare()
        except StoreUnavailable as error:
            _logger.warning("The built-in data sets are made or registered later: %s", error)
            group.start_soon(self._prepare_later, name="make and register the built-in data sets")
        except Exception as error:
            self._samples_failure = error
            self._samples_there.set()
            raise
        self._samples_there.set()

    async def add(
        self, path: Path, *, name: str, content_digest: str, size_bytes: int, options: Mapping[str, JsonValue]
    ) -> DatasetRecord:
        """Read an uploaded file and keep it as a data set; the same bytes are the same data set. The file goes.

        A cancellation leaves nothing behind.

        Raises:
            UnreadableFile, LimitExceeded, UnusableData: the file is at fault.
        """
        given = {key: value for key, value in options.items() if value is not None}
        dataset_id = digest(canonical_json([content_digest, dict(sorted(given.items()))])) if given else content_digest
        known = await self._store.dataset(dataset_id)
        if known is not None and self._files.has(dataset_id):
            await self._files.use(dataset_id)
            return known
        await self._files.check_room()
        folder = self._files.incoming()
        try:
            task = {
                "path": str(path),
                "folder": str(folder),
                "name": name,
                "options": given,
                "limits": dict(self._limits),
            }
            reply = await self._quarantine.guard(dataset_id, lambda: self._pool.run("ingest", task))
            record = _record(reply, dataset_id, dataset_id, name, size_bytes, sample=False)
            await self._files.check_room()
            await self._files.keep(folder, record)
        except BaseException:
            await self._files.drop(folder)
            raise
        metrics.record(metric_definitions.DATASET_SIZE, size_bytes)
        return await self._entered(record)

    async def get_for_analysis(self, dataset_id: str) -> DatasetRecord:
        """The same as `get`, which for a second may miss that another engine has deleted it.

        A data set never changes, and an analysis that finds its files gone says so.

        Raises:
            NotFound: there is none.
        """
        record, until = self._met.get(dataset_id, (None, 0.0))
        now = self._now()
        if record is None or until <= now:
            record = await self.get(dataset_id)
            await self._note_use(dataset_id)
            # A description may be large: none is held for longer than it is believed, and it ends in that order.
            self._met.pop(dataset_id, None)
            while self._met and (len(self._met) >= _MET or next(iter(self._met.values()))[1] <= now):
                del self._met[next(iter(self._met))]
            self._met[dataset_id] = (record, now + _MET_SECONDS)
        return record

    async def _note_use(self, dataset_id: str) -> None:
        # An analysis that is answered from a cache is a use as well.
        now = self._now()
        if now - self._noted.get(dataset_id, -_NOTE_SECONDS) >= _NOTE_SECONDS:
            self._noted.pop(dataset_id, None)
            while len(self._noted) >= _MET:
                del self._noted[next(iter(self._noted))]
            self._noted[dataset_id] = now
            await self._files.use(dataset_id)

    async def get(self, dataset_id: str) -> DatasetRecord:
        """The data set of this id. On a fresh engine the built-in ones are waited for before one is called unknown.

        Raises:
            NotFound: there is none.
            WorkersUnavailable: it may be a built-in one, and those could not be made.
        """
        record = await self._find(dataset_id)
        if record is None and not self._samples_there.is_set():
            await self._samples_there.wait()
            record = await self._find(dataset_id)
        if record is None and self._samples_failure is not None:
            raise WorkersUnavailable(
                "The built-in data sets could not be made; the log says why."
            ) from self._samples_failure
        if record is None:
            known = [other.dataset_id for other in await self._store.datasets()]
            near = near_words(dataset_id, known)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            raise NotFound(
                f"There is no data set '{dataset_id[:100]}'.{meant} Upload it with POST /api/datasets; GET lists all.",
                field="dataset_id",
                choices=[*near, *(name for name in known if name not in near)][:20],
            )
        return record

    async def all(self) -> Sequence[DatasetRecord]:
        """Every data set: the built-in ones first, then the newest first."""
        found = await self._store.datasets()
        return await self._store.datasets() if await self._register_anew() else found

    async def delete(self, dataset_id: str) -> None:
        """Remove a data set; its reports stay, and analyses that are reading it finish.

        Raises:
            NotFound: there is none.
            InvalidRequest: it is built in.
        """
        await self.get_deletable(dataset_id)
        try:
            await self._store.forget(dataset_id)
        except StoreUnavailable:
            if not await self._files.is_full():
                raise
            # A registry on a full disk cannot strike it before there is room.
            await self._files.delete(dataset_id)
            await self._store.forget(dataset_id)
        self._met.pop(dataset_id, None)
        await self._files.delete(dataset_id)

    async def get_deletable(self, dataset_id: str) -> DatasetRecord:
        """The data set of this id, which can be deleted.

        Raises:
            NotFound: there is none.
            InvalidRequest: it is built in.
        """
        record = await self.get(dataset_id)
        if record.sample:
            raise InvalidRequest(f"The data set '{dataset_id}' is built in and cannot be deleted.")
        return record

    async def check_room(self, wanted_bytes: int = 0) -> None:
        """Nothing, if there is room for a file of this size; see `FileStore.check_room`."""
        await self._files.check_room(wanted_bytes)

    @asynccontextmanager
    async def reading(self, record: DatasetRecord) -> AsyncIterator[Path]:
        """The path of the table, readable until the block is left; a built-in one that is not whole is made anew.

        Raises:
            NotFound: the files of an upload are gone, or no longer what was kept.
        """
        async with AsyncExitStack() as stack:
            try:
                path = await stack.enter_async_context(self._files.reading(record.dataset_id))
            except NotFound as error:
                if not record.sample:
                    raise
                await self._sample(record.dataset_id, record.digest, record.size_bytes)
                _logger.error("%s. It is built in, and was made anew.", error.detail.partition(";")[0])
                path = await stack.enter_async_context(self._files.reading(record.dataset_id))
            yield path

    async def infer(self, dataset_id: str) -> Mapping[str, object]:
        """Which columns may play which roles, as `cqox.contract.Inference`."""
        record = await self.get(dataset_id)
        async with self.reading(record) as path:
            reply = await self._pool.run("infer", {"path": str(path)})
        return {"dataset_id": record.dataset_id, **reply.body}

    async def _entered(self, record: DatasetRecord) -> DatasetRecord:
        try:
            entered = await self._store.register(record)
        except StorageFull:
            # Files that no row names could not be deleted by anybody, and would keep the disk full.
            if await self._store.dataset(record.dataset_id) is None:
                await self._files.delete(record.dataset_id)
            raise
        if not self._files.has(record.dataset_id):
            raise StoreUnavailable(f"The data set '{record.dataset_id}' was deleted while it was uploaded.")
        return entered

    async def _find(self, dataset_id: str) -> DatasetRecord | None:
        try:
            found = await self._store.dataset(dataset_id)
            return await self._store.dataset(dataset_id) if await self._register_anew() else found
        except StoreUnavailable:
            # An analysis needs the files and what they tell of themselves, and no registry.
            record = await self._files.record(dataset_id)
            if record is None:
                raise
            return record

    async def _register_anew(self) -> bool:
        """Enter what has files where the registry has lost its own; whether it had."""
        epoch = self._epoch()
        if epoch == self._of_epoch:
            return False
        for dataset_id in self._files.kept():
            record = await self._files.record(dataset_id)
            if record is not None:
                await self._store.register(record)
        self._of_epoch = epoch
        return True

    async def _sample(self, name: str, sample_digest: str, size_bytes: int) -> DatasetRecord:
        async with self._making:
            known = await self._files.record(name)
            if known is not None and known.digest == sample_digest and await self._files.is_intact(name):
                return known
            return await self._make_sample(name, sample_digest, size_bytes)

    async def _make_sample(self, name: str, sample_digest: str, size_bytes: int) -> DatasetRecord:
        folder = self._files.incoming()
        try:
            reply = await self._pool.run("sample", {"name": name, "folder": str(folder)})
            record = _record(reply, name, sample_digest, name, size_bytes, sample=True)
            await self._files.keep(folder, record, replace=True)
        except BaseException:
            await self._files.drop(folder)
            raise
        return record

    async def _prepare(self) -> None:
        reply = await self._pool.run("samples", {})
        # All files first: without a registry they can be analysed.
        records = [
            await self._sample(str(sample["name"]), str(sample["digest"]), int(str(sample["size_bytes"])))
            for sample in reply.objects("samples")
        ]
        for record in records:
            # A row that is right already is not written again, which a full disk would not let be.
            if await self._store.dataset(record.dataset_id) != record:
                await self._store.register(record)

    async def _prepare_later(self) -> None:
        while True:
            await anyio.sleep(_REGISTER_PAUSE_SECONDS)
            with suppress(StoreUnavailable):
                await self._prepare()
                return


def _record(
    reply: Reply, dataset_id: str, content_digest: str, name: str, size_bytes: int, *, sample: bool
) -> DatasetRecord:
    return DatasetRecord(
        dataset_id=dataset_id,
        digest=content_digest,
        name=name,
        rows=int(str(reply.body["rows"])),
        columns=len(reply.array("columns")),
        size_bytes=size_bytes,
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        sample=sample,
        description=canonical_json(reply.body),
    )
