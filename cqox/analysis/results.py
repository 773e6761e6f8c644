"""Finished reports: lookup in caches and store, durable storage, and leases for their computation.

If caches or stores are unreachable, answers are slower, or are returned without being stored, and say so.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto

import anyio
from anyio import CancelScope

from cqox import clock, randomness
from cqox.analysis.log_throttle import Outage
from cqox.errors import StoreUnavailable
from cqox.fault_points import fault_point
from cqox.storage import DEFAULT_TENANT, MemoryCache, ResultCache, ResultStore, StoredReport
from cqox.tasks import open_task_group

__all__ = ["UNSTORED_BYTES", "LookedUp", "Results"]

_logger = logging.getLogger("cqox.analysis")
_TURN_SECONDS = 10.0
_PROLONG_SECONDS = 3.0
_FIRST_PAUSE_SECONDS = 0.05
_PAUSE_SECONDS = 0.5
# A frozen store must not delay cached reports: its circuit opens for a while.
_CONFIRM_SECONDS = 0.5
_TRUST_SECONDS = 5.0
UNSTORED_BYTES = 64 * 1024 * 1024
"""Bound on the memory of the reports that no store has accepted so far, of all tenants together."""

_MOST_UNSTORED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """A report, and whether it can be read again later."""

    report: StoredReport
    stored: bool


class _Lease(Enum):
    """State of the lease to compute a report."""

    HELD = auto()
    TAKEN = auto()
    UNSHARED = auto()
    """Unknown: the store does not answer."""


class Results:
    """Finished reports of all engines that share a store and a cache.

    Args:
        store: the result store.
        cache: the result cache.
        confirm: whether the store is asked if a cached report still exists, since another engine may have deleted it.
        room: raises `StorageFull` if a new report would use the disk's reserve.
        unstored: holds reports that no store has accepted so far; a new one if None.
    """

    def __init__(
        self,
        store: ResultStore,
        cache: ResultCache,
        *,
        confirm: bool = False,
        room: Callable[[], Awaitable[None]] | None = None,
        unstored: MemoryCache | None = None,
    ) -> None:
        self._store = store
        self._cache = cache
        self._confirm = confirm
        self._room = room
        self._trusted_until = 0.0
        self._unanswered = Outage("The result store did not answer")
        self._unshared = Outage("An analysis was computed without a lease")
        self._unkept = Outage("An analysis could not be stored", level=logging.ERROR)
        # The shared cache contains only stored reports, so that a hit there can be read again later.
        self._unstored = unstored or MemoryCache(max_bytes=UNSTORED_BYTES).within(DEFAULT_TENANT)
        self._unkept_keys: dict[str, None] = {}
        # Ids that were erased while their report is being offered to the store again.
        self._offered: dict[object, set[str]] = {}
        self._erasing = Counter[str]()

    async def find(self, key: str) -> LookedUp | None:
        """Return the report with this id from any cache or store that answers, or None."""
        try:
            return await self.load(key)
        except StoreUnavailable as error:
            self._unanswered.failed("The result store was asked for %s and did not answer: %s", key, error)
            return None

    async def load(self, key: str) -> LookedUp | None:
        """Return the report with this id, or None.

        Raises:
            StoreUnavailable: it is not cached, and the store cannot be reached.
        """
        cached = await self._cache.get(key)
        if cached is not None and await self._is_confirmed(key):
            return LookedUp(report=cached, stored=True)
        unstored = await self._unstored.get(key)
        if unstored is not None:
            return LookedUp(report=unstored, stored=await self._offer(unstored))
        stored = await self._store.load(key)
        self._unanswered.recovered()
        if stored is None:
            return None
        await self._hold(stored)
        return LookedUp(report=stored, stored=True)

    async def keep(self, report: StoredReport) -> bool:
        """Store the report; return whether it is stored. If not, it stays in memory and is offered again later."""
        try:
            if self._room is not None:
                await self._room()
            await self._store.save(report)
            fault_point("report.stored", report.analysis_id)
        except StoreUnavailable as error:
            self._unkept.failed("The analysis %s could not be stored: %s", report.analysis_id, error)
            await self._unstored.put(report)
            self._unkept_keys[report.analysis_id] = None
            if len(self._unkept_keys) > _MOST_UNSTORED:
                del self._unkept_keys[next(iter(self._unkept_keys))]
            return False
        self._unkept.recovered()
        self._unkept_keys.pop(report.analysis_id, None)
        await self._unstored.discard(report.analysis_id)
        await self._hold(report)
        return True

    @property
    def pending(self) -> int:
        """Number of reports that wait for the store."""
        return len(self._unkept_keys)

    async def settle(self) -> None:
        """Store the pending reports, up to the first failure."""
        for key in list(self._unkept_keys):
            report = await self._unstored.get(key)
            if report is None:
                self._unkept_keys.pop(key, None)
            elif not await self._offer(report):
                return

    async def _offer(self, report: StoredReport) -> bool:
        """Store a pending report unless it is erased meanwhile; return whether it is stored."""
        if report.analysis_id in self._erasing:
            return False
        offer, erased = object(), set[str]()
        self._offered[offer] = erased
        try:
            kept = await self.keep(report)
        finally:
            del self._offered[offer]
        if report.analysis_id not in erased:
            return kept
        with suppress(StoreUnavailable):
            await self.erase([report.analysis_id])
        return False

    async def erase(self, keys: Sequence[str]) -> frozenset[str]:
        """Delete the reports from the store and from every cache; return the ids of those that existed.

        A computation in progress continues, and its report is stored.

        Raises:
            StoreUnavailable: a store or a shared cache cannot be reached. Some reports may be deleted; repeating the
                call deletes the rest.
        """
        # Before, so that no deleted report is served from the cache; and after, since another engine may have read it
        # from the store and cached it again in between.
        await self._cache.erase(keys)
        for erased in self._offered.values():
            erased.update(keys)
        self._erasing.update(keys)
        try:
            gone = set(await self._store.delete_reports(keys))
        finally:
            self._erasing.subtract(keys)
            self._erasing = +self._erasing
        for key in keys:
            if await self._unstored.get(key) is not None:
                gone.add(key)
            self._unkept_keys.pop(key, None)
        await self._unstored.erase(keys)
        await self._cache.erase(keys)
        return frozenset(gone)

    async def is_held(self, key: str) -> bool:
        """Return whether the report with this id exists, here or in the store.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        return await self._unstored.get(key) is not None or bool(await self._store.stored([key]))

    def log_unstored(self) -> None:
        """Log the number of reports that are lost when this engine exits, because no store accepted them."""
        if self._unkept_keys:
            self._unkept.recovered()
            count = len(self._unkept_keys)
            _logger.error("Reports that were returned, could not be stored and are lost with this engine: %d.", count)

    def unstored_bytes(self) -> int:
        """Memory of reports that no store has accepted so far, of all tenants, in bytes."""
        return self._unstored.size_bytes

    async def _hold(self, report: StoredReport) -> None:
        await self._cache.put(report)
        try:
            if not await self._store.stored([report.analysis_id]):
                # It was deleted after it was read or written, and the cache may have been erased before this call.
                await self._cache.discard(report.analysis_id)
        except StoreUnavailable:
            await self._cache.discard(report.analysis_id)

    async def _is_confirmed(self, key: str) -> bool:
        """Return whether a cached report may be returned; True if the store does not answer."""
        if not self._confirm or clock.monotonic() < self._trusted_until:
            return True
        kept = True
        with anyio.move_on_after(_CONFIRM_SECONDS) as patience:
            try:
                kept = bool(await self._store.stored([key]))
            except StoreUnavailable:
                self._trusted_until = clock.monotonic() + _TRUST_SECONDS
        if patience.cancelled_caught:
            self._trusted_until = clock.monotonic() + _TRUST_SECONDS
        if not kept:
            await self._cache.discard(key)
        return kept

    async def once(self, key: str, compute: Callable[[], Awaitable[StoredReport]]) -> LookedUp:
        """Compute and store the report with this id, or return the one computed by another engine.

        Of the engines that share a store one holds the computation lease. It renews the lease while it computes; the
        others poll for the result, and one of them takes over if it fails or dies. If the store is unreachable every
        engine computes. A cancellation releases the lease.

        Raises:
            Exception: any error of `compute`.
        """
        token, pause = randomness.token_hex(8), _FIRST_PAUSE_SECONDS
        # A cancelled claim may have acquired the lease nonetheless.
        lease: _Lease | None = None
        try:
            while (lease := await self._claim(key, token)) is _Lease.TAKEN:
                await anyio.sleep(pause)
                pause = min(2 * pause, _PAUSE_SECONDS)
                found = await self.find(key)
                if found is not None:
                    return found
            # Another engine may have finished between the lookup and the claim; it stores before it releases the lease.
            stored = await self._stored(key) if lease is _Lease.HELD else None
            if stored is not None:
                return LookedUp(report=stored, stored=True)
            report = await self._renewing(key, token, compute)
            return LookedUp(report=report, stored=await self.keep(report))
        finally:
            # A store that did not answer is not asked again.
            if lease is not _Lease.UNSHARED:
                with CancelScope(shield=True), suppress(StoreUnavailable):
                    await self._store.release_turn(key, token=token)

    async def _claim(self, key: str, token: str) -> "_Lease":
        try:
            held = await self._store.claim_turn(key, token=token, seconds=_TURN_SECONDS)
        except StoreUnavailable as error:
            self._unshared.failed(
                "The analysis %s is computed without a lease, possibly by other engines as well: %s", key, error
            )
            return _Lease.UNSHARED
        self._unshared.recovered()
        return _Lease.HELD if held else _Lease.TAKEN

    async def _stored(self, key: str) -> StoredReport | None:
        try:
            return await self._store.load(key)
        except StoreUnavailable:
            return None

    async def _renewing(self, key: str, token: str, compute: Callable[[], Awaitable[StoredReport]]) -> StoredReport:
        computed: list[StoredReport] = []
        failures: list[Exception] = []

        async def renew() -> None:
            while True:
                await anyio.sleep(_PROLONG_SECONDS)
                await self._claim(key, token)

        async with open_task_group("turn") as group:
            group.start_soon(renew, name="renew the computation lease")
            try:
                computed.append(await compute())
            except Exception as error:  # noqa: BLE001 - raised below, out of the group, as it is
                failures.append(error)
            group.cancel_scope.cancel()
        if failures:
            raise failures[0]
        return computed[0]
