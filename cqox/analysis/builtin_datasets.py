"""Built-in data sets: created by a worker process, and registered like uploads."""

import logging
import re
from contextlib import suppress

import anyio

from cqox import clock
from cqox.analysis.key import canonical_json
from cqox.analysis.workers import Reply, WorkerPool
from cqox.contract.messages import Message
from cqox.errors import LimitExceeded, StoreUnavailable, WorkerLost, WorkersUnavailable
from cqox.storage import DatasetRecord, ResultStore, TenantFiles
from cqox.tasks import TaskGroup

__all__ = ["BuiltinDatasets", "record_of"]

_PREPARE_SECONDS = 60.0
_PAUSE_SECONDS = 5.0
_UPLOADED = re.compile("[0-9a-f]{32}")
"""Identities of uploads, which no built-in data set has."""
_logger = logging.getLogger("cqox.analysis")
_PASSING_FAILURES = (LimitExceeded, StoreUnavailable, TimeoutError, WorkerLost)
"""Failures to create the built-in data sets for a reason that passes."""


class BuiltinDatasets:
    """The built-in data sets of a data directory.

    Args:
        pool: the worker processes, which write their tables.
        store: the registry.
        files: their files.
        expected: whether `prepare_now_or_later` will be called.

    Attributes:
        tried: set once that has ended.
    """

    def __init__(self, *, pool: WorkerPool, store: ResultStore, files: TenantFiles, expected: bool) -> None:
        self._pool = pool
        self._store = store
        self._files = files
        self._making = anyio.Lock()
        self._failure: Exception | None = None
        self.tried = anyio.Event()
        if not expected:
            self.tried.set()

    async def prepare_now_or_later(self, group: TaskGroup) -> None:
        """Create and register them; `group` tries again what fails now for a reason that passes.

        Any other failure is raised, here and by `check_unknown`.
        """
        try:
            await self.prepare()
        except _PASSING_FAILURES as error:
            self._failure = error
            reason = str(error) or type(error).__name__
            _logger.warning("Creating or registering the built-in data sets is postponed: %s", reason)
            group.start_soon(self._prepare_later, name="create and register the built-in data sets")
        except Exception as error:
            self._failure = error
            self.tried.set()
            raise
        self.tried.set()

    def check_unknown(self, dataset_id: str) -> None:
        """Raise where a data set without a record may be a built-in one that is not there yet.

        Raises:
            StoreUnavailable: creating those failed at a store or in time, and is tried again.
            WorkersUnavailable: it failed at a worker, and is tried again, or for a reason that stays.
        """
        if self._failure is None or _UPLOADED.fullmatch(dataset_id):
            return
        if not isinstance(self._failure, _PASSING_FAILURES):
            raise WorkersUnavailable(Message("analysis.no-built-in-data")) from self._failure
        is_worker = isinstance(self._failure, LimitExceeded | WorkerLost)
        kind = WorkersUnavailable if is_worker else StoreUnavailable
        raise kind(Message("analysis.built-in-data-later")) from self._failure

    async def _prepare_later(self) -> None:
        while self._failure is not None:
            await anyio.sleep(_PAUSE_SECONDS)
            with suppress(*_PASSING_FAILURES):
                await self.prepare()
                self._failure = None

    async def prepare(self) -> None:
        """Create what is missing or damaged, and register what the registry lacks.

        Raises:
            LimitExceeded, WorkerLost: a worker was killed meanwhile.
            StoreUnavailable: the disk or the registry rejects it now.
            TimeoutError: a worker gives no answer.
        """
        # Without a limit, a worker that hangs would keep the engine from ever being ready.
        with anyio.fail_after(_PREPARE_SECONDS):
            await self._prepare()

    async def _prepare(self) -> None:
        reply = await self._pool.run("samples", {})
        # All files first: they can be analysed without a registry.
        records = [
            await self._made(str(sample["name"]), str(sample["digest"]), int(str(sample["size_bytes"])))
            for sample in reply.objects("samples")
        ]
        for record in records:
            # A row that is up to date is not written again, since a full disk would reject the write.
            if await self._store.dataset(record.dataset_id) != record:
                await self._store.register(record)

    async def restore(self, record: DatasetRecord) -> None:
        """Create a built-in data set again whose files are missing or damaged."""
        await self._made(record.dataset_id, record.digest, record.size_bytes)

    async def _made(self, name: str, sample_digest: str, size_bytes: int) -> DatasetRecord:
        async with self._making:
            known = await self._files.record(name)
            if known is not None and known.digest == sample_digest and await self._files.is_intact(name):
                return known
            return await self._make(name, sample_digest, size_bytes)

    async def _make(self, name: str, sample_digest: str, size_bytes: int) -> DatasetRecord:
        folder = self._files.incoming()
        try:
            keys = await self._files.writing(name)
            reply = await self._pool.run("sample", {"name": name, "folder": str(folder), **keys.to_arguments()})
            record = record_of(reply, name, sample_digest, name, size_bytes, sample=True)
            await self._files.keep(folder, record, replace=True)
        except BaseException:
            await self._files.drop(folder)
            raise
        return record


def record_of(
    reply: Reply, dataset_id: str, content_digest: str, name: str, size_bytes: int, *, sample: bool
) -> DatasetRecord:
    """Return the data set that a worker has read or written."""
    return DatasetRecord(
        dataset_id=dataset_id,
        digest=content_digest,
        name=name,
        rows=int(str(reply.body["rows"])),
        columns=len(reply.array("columns")),
        size_bytes=size_bytes,
        created_at=clock.timestamp(),
        sample=sample,
        description=canonical_json(reply.body),
    )
