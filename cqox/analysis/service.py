"""One engine: workers, admission and stores that all tenants share, and the services of each.

Imports no numerics: those are in the worker processes.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

import anyio
from anyio import CapacityLimiter

from cqox.analysis.admission import Admission
from cqox.analysis.bounds import Bounds
from cqox.analysis.disk_usage import DiskUsage
from cqox.analysis.engine_metrics import watched
from cqox.analysis.erasure_progress import Progress
from cqox.analysis.erasures import Save
from cqox.analysis.heap import Heap
from cqox.analysis.job_leases import maintain, maintain_once
from cqox.analysis.keyrings import check_mark, put_mark
from cqox.analysis.metered_pool import cpu_budget
from cqox.analysis.parts import Parts
from cqox.analysis.pending_writes import write_pending
from cqox.analysis.results import UNSTORED_BYTES
from cqox.analysis.retention import Expired, unrecorded
from cqox.analysis.shares import token_digest
from cqox.analysis.stores import StoreAddresses, generation_of, open_volume
from cqox.analysis.tenant import Engine, TenantAnalyses
from cqox.analysis.tenant_erasure import TenantEraser
from cqox.analysis.workers import WorkerPool
from cqox.assets import check_assets
from cqox.errors import LimitExceeded, StoreUnavailable, WorkerLost
from cqox.storage import (
    DEFAULT_TENANT,
    DataDirectory,
    ErasureRecord,
    MemoryCache,
    ResultDatabase,
    SealedStore,
    Sealing,
    SharedCache,
)
from cqox.tasks import TaskGroup, open_task_group
from cqox.telemetry.stores import CACHE_OPERATIONS, DATABASE_OPERATIONS, STORE_OPERATIONS, observed
from cqox.threads import run_in_thread

__all__ = ["Analyses"]

_PARTS = Parts()
_LAST_SECONDS = 3.0
_CATALOG_SECONDS = 30.0
_RESUME_SECONDS = 15.0
"""Time between two looks for erasures that another engine has left unfinished, or carried out elsewhere."""


class Analyses:
    """Services of one engine, independent of the protocol. Open it with `Analyses.open`; `within` gives a tenant's.

    Attributes:
        group: tasks that outlive requests.
        pool: the worker processes.
        store: tenants, API keys, and the results of all tenants.
        cache: the cache of all tenants.
        admission: admission control of computations.
        cpu: CPU seconds of each tenant; None for no bound.
        record_expired: records a batch of a tenant that was deleted for its age.
    """

    def __init__(
        self,
        *,
        group: TaskGroup,
        pool: WorkerPool,
        store: ResultDatabase,
        cache: SharedCache,
        directory: DataDirectory,
        bounds: Bounds,
        samples: bool,
        sealing: Sealing,
        data_dir: Path,
    ) -> None:
        self.group = group
        self.pool = pool
        self.store = observed(store, DATABASE_OPERATIONS)
        self.cache = cache
        self.admission = Admission(size=bounds.analyses, max_queued=bounds.queued)
        self.cpu = cpu_budget(bounds.cpu_seconds_per_hour)
        self._database = store
        self._directory = directory
        self._samples = samples
        self._sealing = sealing
        self._data_dir = data_dir
        self._disks = DiskUsage(data_dir)
        self._is_marked = sealing.ring is None
        on_server = store.on_server
        self._engine = Engine(
            group=group,
            pool=pool,
            admission=self.admission,
            cpu=self.cpu,
            bounds=bounds,
            on_server=on_server,
            confirm=on_server and isinstance(cache, MemoryCache),
            epoch=lambda: store.epoch,
            maintain=lambda: maintain_once(self.store, directory),
            erase_tenant=self._erase_tenant,
            scrub=self.store.scrub,
            finished=self._notify_finished,
            stop=self._stop,
            retention=self.store.retention,
        )
        self._key_limiter = CapacityLimiter(1)
        self._eraser = TenantEraser(
            database=self.store,
            directory=directory,
            within=self.within,
            learn=self._learn,
            destroy_key=None if sealing.ring is None else sealing.destroy,
        )
        self._erased = frozenset[str]()
        self._stoppers: list[Callable[[str, str], None]] = []
        self._on_finished: list[Callable[[str, ErasureRecord], None]] = []
        self.record_expired: Callable[[str, Expired], Awaitable[None]] = unrecorded
        self._resume_at = -math.inf
        self._unstored = MemoryCache(max_bytes=UNSTORED_BYTES)
        self._tenants: dict[str, TenantAnalyses] = {}
        self._listeners: list[Callable[[str, str], None]] = []
        self._catalog: Mapping[str, object] | None = None
        self._definitions: Mapping[str, object] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        data_dir: Path,
        bounds: Bounds,
        addresses: StoreAddresses | None = None,
        *,
        samples: bool = True,
        parts: Parts = _PARTS,
    ) -> AsyncIterator[Self]:
        """Open the analyses of a data directory. The workers start in the background; `warm` waits for them.

        Args:
            data_dir: the folder.
            bounds: resource limits.
            addresses: result store and cache; by default in the folder and in memory.
            samples: whether there are built-in data sets; `warm` then creates them.
            parts: functions that open stores and workers.

        Raises:
            ModuleNotFoundError: `cqox-assets` is not installed.
        """
        # Workers would find out too, but their errors reach a log only.
        check_assets()
        addresses = addresses or StoreAddresses()
        directory = DataDirectory(
            data_dir,
            reserve_bytes=bounds.reserve_bytes,
            originals_bytes=bounds.originals_bytes,
            sealing=addresses.sealing,
            volume=open_volume(data_dir, addresses),
        )
        async with (
            parts.open_store(data_dir, addresses) as store,
            parts.open_cache(addresses, epoch=lambda: generation_of(store)) as cache,
            parts.open_pool(bounds) as pool,
        ):
            async with open_task_group("computations", detached=True) as group:
                analyses = cls(
                    group=group,
                    pool=pool,
                    store=store,
                    cache=cache,
                    directory=directory,
                    bounds=bounds,
                    samples=samples,
                    sealing=addresses.sealing,
                    data_dir=data_dir,
                )
                # Reports of erased data sets are deleted after pending records are written.
                erasures = (analyses._settle_erasures, analyses._resume_erasures)
                chores = (analyses._settle, analyses._fill_facts, Heap().release)
                group.start_soon(
                    partial(maintain, analyses.store, directory, *chores, of_files=erasures, expire=analyses._expire),
                    name="maintain the job leases",
                )
                group.start_soon(directory.tighten, name="tighten the data directory")
                await directory.threaded(analyses._disks.look)
                with watched(
                    pool=pool,
                    admission=analyses.admission,
                    disks=analyses._disks,
                    store=analyses.store,
                    cache=cache,
                    unstored=analyses._unstored,
                    pending=analyses._unstored_reports,
                ):
                    yield analyses
                group.cancel_scope.cancel()
            # No job runs any more: the last attempts to write what is pending.
            await write_pending(analyses._settle, analyses._has_pending, seconds=_LAST_SECONDS)
            for tenant in analyses._tenants.values():
                tenant.log_unstored()
        directory.close()

    def within(self, tenant_id: str) -> TenantAnalyses:
        """Return the services of one tenant, the same ones each time.

        Raises:
            ValueError: the id can be none of a tenant.
        """
        found = self._tenants.get(tenant_id)
        if found is None:
            found = self._tenants[tenant_id] = self._made(tenant_id)
        return found

    async def open_share(self, token: str) -> tuple[TenantAnalyses, str]:
        """Return the services of the tenant whose report a token gives access to, and the id of the report.

        Raises:
            NotFound: it gives access to none.
        """
        # Also for an unknown token, so that the time of an answer does not reveal the reason.
        tenant_id = await self.store.tenant_of_share(token_digest(token)) or DEFAULT_TENANT
        analyses = self.within(tenant_id)
        return analyses, await analyses.shares.opened(token)

    def on_erased(self, listener: Callable[[str, str], None]) -> None:
        """Call the listener with tenant and data set of each erasure of jobs and reports, by any engine."""
        self._listeners.append(listener)

    def on_erasing(self, listener: Callable[[str, str], None]) -> None:
        """Call the listener with tenant and data set before an erasure, to cancel what runs on it here."""
        self._stoppers.append(listener)

    def on_finished_erasure(self, listener: Callable[[str, ErasureRecord], None]) -> None:
        """Call the listener with tenant and record of each erasure that this engine has finished."""
        self._on_finished.append(listener)

    def is_erased(self, tenant_id: str) -> bool:
        """Return whether the tenant is known to be erased, so that nothing of it is answered any more."""
        return tenant_id in self._erased

    async def warm(self) -> None:
        """Wait for a warm worker and create the built-in data sets."""
        await self._mark()
        await maintain_once(self.store, self._directory)
        with suppress(StoreUnavailable):
            await self._learn()
        await self.within(DEFAULT_TENANT).datasets.prepare_samples(self.group)
        # Asked for again by the first request that needs it.
        with anyio.move_on_after(_CATALOG_SECONDS), suppress(LimitExceeded, WorkerLost):
            await self.catalog()

    async def passing_role(self) -> str | None:
        """Return why the database cannot keep tenants apart by itself; None where it can, or where it has no roles."""
        return await self._database.passing_role()

    async def catalog(self) -> Mapping[str, object]:
        """Return the document that describes every estimator."""
        if self._catalog is None:
            self._catalog = (await self.pool.run("catalog", {})).body
        return self._catalog

    async def definitions(self) -> Mapping[str, object]:
        """Return the document that defines every verdict, gate and assumption."""
        if self._definitions is None:
            self._definitions = (await self.pool.run("definitions", {})).body
        return self._definitions

    async def check_disk(self) -> None:
        """Check that the data directory is writable and has space left.

        Raises:
            StoreUnavailable: it is not, or free space is below the reserve.
        """
        await self._directory.threaded(self._disks.look)
        await self._directory.check()

    async def check_objects(self) -> None:
        """Check that the object store of files answers, and that it is fit for them; nothing without one.

        Raises:
            ObjectStoreUnfit: it never will be.
            StoreUnavailable: it fails, or rejects the calls.
        """
        if self._directory.volume is not None:
            await self._directory.volume.check()

    async def check_keys(self) -> None:
        """Check that the key ring answers, and that it is the one that sealed the data directory.

        Raises:
            StoreUnavailable: it is not.
        """

        def check() -> None:
            self._sealing.check()
            # An engine may have started while its vault was away.
            check_mark(self._data_dir, self._sealing)

        await run_in_thread(check, abandon_on_cancel=True, limiter=self._key_limiter)

    def _made(self, tenant_id: str) -> TenantAnalyses:
        is_default = tenant_id == DEFAULT_TENANT
        made = TenantAnalyses(
            tenant_id,
            self._engine,
            store=SealedStore(
                observed(self._database.within(tenant_id), STORE_OPERATIONS),
                self._sealing.of(tenant_id),
                prepare=self._database.finish,
            ),
            cache=observed(self.cache.within(tenant_id), CACHE_OPERATIONS),
            unstored=self._unstored.within(tenant_id),
            files=self._directory.within(tenant_id),
            samples=self._samples and is_default,
            # Built-in data sets belong to `default`, and every tenant reads them there.
            shared=None if is_default else self.within(DEFAULT_TENANT).datasets,
        )
        made.retention.on_expired(lambda expired: self.record_expired(tenant_id, expired))
        made.retention.on_erased(lambda dataset_id: self._notify(tenant_id, dataset_id))
        return made

    def _notify(self, tenant_id: str, dataset_id: str) -> None:
        for listener in self._listeners:
            listener(tenant_id, dataset_id)

    def _unstored_reports(self) -> int:
        return sum(tenant.unstored for tenant in list(self._tenants.values()))

    def _has_pending(self) -> bool:
        return any(tenant.has_pending for tenant in self._tenants.values())

    async def _fill_facts(self) -> None:
        for tenant in list(self._tenants.values()):
            await tenant.fill_facts()

    async def _settle(self) -> None:
        await self._directory.recover()
        await self._mark()
        for tenant in list(self._tenants.values()):
            await tenant.settle()

    async def _mark(self) -> None:
        if not self._is_marked:
            with suppress(StoreUnavailable):
                await self._directory.threaded(put_mark, self._data_dir, self._sealing)
                self._is_marked = True

    async def _settle_erasures(self) -> None:
        # Another engine may have erased a data set of a tenant that this one has not met.
        for tenant_id in await self._directory.tenants():
            await self.within(tenant_id).retention.settle_erasures()

    async def _resume_erasures(self) -> None:
        if anyio.current_time() < self._resume_at:
            return
        self._resume_at = anyio.current_time() + _RESUME_SECONDS
        with suppress(StoreUnavailable):
            await self._learn()
        for tenant_id in await self._every_tenant():
            await self.within(tenant_id).erasures.resume()

    async def _learn(self) -> None:
        """Find out which tenants are erased."""
        erased = {tenant.tenant_id for tenant in await self.store.tenants() if tenant.erased_at is not None}
        for tenant_id in erased - self._erased:
            self._directory.forget(tenant_id)
        self._erased = frozenset(erased - {DEFAULT_TENANT})

    async def _erase_tenant(self, tenant_id: str, progress: Progress, save: Save) -> None:
        await self._eraser.erase(tenant_id, progress, save)

    def _notify_finished(self, tenant_id: str, record: ErasureRecord) -> None:
        for listener in self._on_finished:
            listener(tenant_id, record)

    def _stop(self, tenant_id: str, dataset_id: str) -> None:
        for stopper in self._stoppers:
            stopper(tenant_id, dataset_id)

    async def _expire(self) -> None:
        for tenant_id in await self._every_tenant():
            await self.within(tenant_id).retention.expire()

    async def _every_tenant(self) -> Sequence[str]:
        found = dict.fromkeys([*await self._directory.tenants(), *self._tenants])
        try:
            found |= dict.fromkeys(tenant.tenant_id for tenant in await self.store.tenants())
        except StoreUnavailable:
            # Those that are known here; the others have their turn an hour later.
            return list(found)
        return list(found)
