"""Finished reports: where they are found, where they are kept, and which engine computes one that is nowhere.

Caches and stores may be away; then answers are slower, or are given without being stored, and say so.
"""

import logging
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import anyio
from anyio import CancelScope

from cqox.analysis.log_throttle import Outage
from cqox.errors import StoreUnavailable
from cqox.storage import Ballast, MemoryCache, ResultCache, ResultStore, SqliteStore, StoredReport
from cqox.storage.sqlite_file import check_sqlite
from cqox.tasks import open_task_group

__all__ = [
    "RESULTS_FILE",
    "Found",
    "Results",
    "StoreAddresses",
    "check_addresses",
    "check_file",
    "epoch_of",
    "generation_of",
    "is_server",
    "open_cache",
    "open_store",
]

_logger = logging.getLogger("cqox.analysis")
_TURN_SECONDS = 10.0
_PROLONG_SECONDS = 3.0
_FIRST_PAUSE_SECONDS = 0.05
_PAUSE_SECONDS = 0.5
# A store that stands still must not hold up what is at hand: it is asked no more for a while.
_CONFIRM_SECONDS = 0.5
_TRUST_SECONDS = 5.0
RESULTS_FILE = "results.sqlite"
"""The file of results in a data directory, where no address names another store."""

_UNSTORED_BYTES = 64 * 1024 * 1024
_MOST_UNSTORED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAddresses:
    """Where results are kept.

    Attributes:
        postgres_url: the PostgreSQL database; a SQLite file in the data directory if empty.
        redis_url: the Redis server; the memory of the process if empty.
    """

    postgres_url: str = ""
    redis_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A report, and whether it can be read again later."""

    report: StoredReport
    stored: bool


def check_file(data_dir: Path) -> None:
    """Nothing, if the file of results in this folder can be used, or set aside where it is damaged.

    Raises:
        StoreUnavailable: it cannot, in one line.
    """
    check_sqlite(data_dir / RESULTS_FILE)


def check_addresses(addresses: StoreAddresses) -> None:
    """Nothing, if the addresses can be read; whether anything answers there is not asked.

    Raises:
        ValueError: one cannot; the message names the setting.
    """
    if addresses.postgres_url:
        from cqox.storage import postgres

        postgres.check_address(addresses.postgres_url)
    if addresses.redis_url:
        from cqox.storage import redis

        redis.check_address(addresses.redis_url)


@asynccontextmanager
async def open_store(data_dir: Path, addresses: StoreAddresses, *, repair: bool = False) -> AsyncIterator[ResultStore]:
    """The result store that the settings name. A server may be away; a file must be usable.

    Args:
        data_dir: where the file is.
        addresses: which store.
        repair: whether a file that is damaged is set aside, and another one begun.

    Raises:
        StoreUnavailable: the file cannot be used.
        ValueError: the URL cannot be read.
    """
    if addresses.postgres_url:
        from cqox.storage.postgres import PostgresStore

        async with PostgresStore.open(addresses.postgres_url) as postgres:
            yield postgres
    else:
        async with SqliteStore.open(data_dir / RESULTS_FILE, repair=repair, ballast=Ballast(data_dir)) as sqlite:
            yield sqlite


def epoch_of(store: ResultStore) -> int:
    """A number that is another one once the store has lost what was in it; that of a server is not known here."""
    return store.epoch if isinstance(store, SqliteStore) else 0


def is_server(store: ResultStore) -> bool:
    """Whether engines that share no disk may share the store, so that none learns from a file what another deleted."""
    return not isinstance(store, SqliteStore)


def generation_of(store: ResultStore) -> int:
    """A number that is another one once the store has lost or deleted reports; that of a server is not known here."""
    return (store.epoch << 64) + store.deletions if isinstance(store, SqliteStore) else 0


@asynccontextmanager
async def open_cache(addresses: StoreAddresses, *, epoch: Callable[[], int] = lambda: 0) -> AsyncIterator[ResultCache]:
    """The result cache that the settings name. A server may be away.

    Args:
        addresses: which cache.
        epoch: of the store; a cache in memory holds nothing that is of an earlier one.

    Raises:
        ValueError: the URL cannot be read.
    """
    if addresses.redis_url:
        from cqox.storage.redis import RedisCache

        async with RedisCache.open(addresses.redis_url) as redis:
            yield redis
    else:
        yield MemoryCache(epoch=epoch)


class _Turn(Enum):
    """Whose turn it is to compute a report."""

    HELD = auto()
    TAKEN = auto()
    UNSHARED = auto()
    """Nobody knows: the store does not answer."""


class Results:
    """The finished reports of all engines that share a store and a cache.

    Args:
        store: where reports are kept.
        cache: where they are near at hand.
        confirm: whether what the cache holds may have been deleted by another engine, so that the store is asked.
        room: raises `StorageFull` where a new report would take the disk's reserve.
    """

    def __init__(
        self,
        store: ResultStore,
        cache: ResultCache,
        *,
        confirm: bool = False,
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._cache = cache
        self._confirm = confirm
        self._room = room
        self._trusted_until = 0.0
        self._unanswered = Outage("The result store did not answer")
        self._unshared = Outage("An analysis was computed without a turn")
        self._unkept = Outage("An analysis could not be stored", level=logging.ERROR)
        # The shared cache holds what is stored and nothing else, so that a hit there can be read again later.
        self._unstored = MemoryCache(max_bytes=_UNSTORED_BYTES)
        self._unkept_keys: dict[str, None] = {}
        # For each report that is being offered to the store again: what is erased meanwhile.
        self._offered: dict[object, set[str]] = {}
        self._erasing = Counter[str]()

    async def find(self, key: str) -> Found | None:
        """The report of this id, if it is anywhere that answers."""
        try:
            return await self.load(key)
        except StoreUnavailable as error:
            self._unanswered.failed("The result store was asked for %s and did not answer: %s", key, error)
            return None

    async def load(self, key: str) -> Found | None:
        """The report of this id, if there is one.

        Raises:
            StoreUnavailable: it is not at hand, and the store cannot be asked.
        """
        cached = await self._cache.get(key)
        if cached is not None and await self._is_confirmed(key):
            return Found(report=cached, stored=True)
        unstored = await self._unstored.get(key)
        if unstored is not None:
            return Found(report=unstored, stored=await self._offer(unstored))
        stored = await self._store.load(key)
        self._unanswered.over()
        if stored is None:
            return None
        await self._hold(stored)
        return Found(report=stored, stored=True)

    async def keep(self, report: StoredReport) -> bool:
        """Keep the report; whether it is stored. One that is not is held here and offered again when it is found."""
        try:
            if self._room is not None:
                await self._room()
            await self._store.save(report)
        except StoreUnavailable as error:
            self._unkept.failed("The analysis %s could not be stored: %s", report.analysis_id, error)
            await self._unstored.put(report)
            self._unkept_keys[report.analysis_id] = None
            if len(self._unkept_keys) > _MOST_UNSTORED:
                del self._unkept_keys[next(iter(self._unkept_keys))]
            return False
        self._unkept.over()
        self._unkept_keys.pop(report.analysis_id, None)
        await self._unstored.discard(report.analysis_id)
        await self._hold(report)
        return True

    async def settle(self) -> None:
        """Store what could not be stored so far, up to the first failure."""
        for key in list(self._unkept_keys):
            report = await self._unstored.get(key)
            if report is None:
                self._unkept_keys.pop(key, None)
            elif not await self._offer(report):
                return

    async def _offer(self, report: StoredReport) -> bool:
        """Keep a report that is held here, unless it is erased meanwhile; whether it is stored."""
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
        """Delete the reports from the store and from every cache; the ids of those that there were.

        A computation of one that runs meanwhile goes on, and its report is kept when it is done.

        Raises:
            StoreUnavailable: a store or a shared cache cannot be asked. Some may be deleted by then; repeating the call
                deletes the rest.
        """
        # Before, so that nothing is deleted where the cache would go on answering it; and after, because another
        # engine may have read it from the store and put it back in between.
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
        """Whether there is a report of this id, here or in the store.

        Raises:
            StoreUnavailable: the store cannot be asked.
        """
        return await self._unstored.get(key) is not None or bool(await self._store.stored([key]))

    def log_unstored(self) -> None:
        """Log how many reports end with this engine, because no store has taken them."""
        if self._unkept_keys:
            self._unkept.over()
            count = len(self._unkept_keys)
            _logger.error("Reports that were answered, could not be stored and are lost with this engine: %d.", count)

    def unstored_bytes(self) -> int:
        """Memory that is taken by reports that no store has taken so far."""
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
        """Whether a cached report may be answered; where the store does not say, it may."""
        if not self._confirm or time.monotonic() < self._trusted_until:
            return True
        kept = True
        with anyio.move_on_after(_CONFIRM_SECONDS) as patience:
            try:
                kept = bool(await self._store.stored([key]))
            except StoreUnavailable:
                self._trusted_until = time.monotonic() + _TRUST_SECONDS
        if patience.cancelled_caught:
            self._trusted_until = time.monotonic() + _TRUST_SECONDS
        if not kept:
            await self._cache.discard(key)
        return kept

    async def once(self, key: str, compute: Callable[[], Awaitable[StoredReport]]) -> Found:
        """The report of this id: computed and kept here, or what another engine has computed meanwhile.

        Of the engines that share a store one has the turn. It prolongs its turn while it computes; the others look for
        the result, and one of them is next where it gives up or dies. Where the store is away everybody computes. A
        cancellation gives the turn back.

        Raises:
            Exception: what `compute` raised.
        """
        token, pause = secrets.token_hex(8), _FIRST_PAUSE_SECONDS
        # A claim that is cancelled may have taken the turn all the same.
        turn: _Turn | None = None
        try:
            while (turn := await self._claim(key, token)) is _Turn.TAKEN:
                await anyio.sleep(pause)
                pause = min(2 * pause, _PAUSE_SECONDS)
                found = await self.find(key)
                if found is not None:
                    return found
            # Another engine may have finished between the look and the claim; it stores before it gives its turn back.
            stored = await self._stored(key) if turn is _Turn.HELD else None
            if stored is not None:
                return Found(report=stored, stored=True)
            report = await self._prolonging(key, token, compute)
            return Found(report=report, stored=await self.keep(report))
        finally:
            # A store that did not answer is not waited for again.
            if turn is not _Turn.UNSHARED:
                with CancelScope(shield=True), suppress(StoreUnavailable):
                    await self._store.release_turn(key, token=token)

    async def _claim(self, key: str, token: str) -> "_Turn":
        try:
            held = await self._store.claim_turn(key, token=token, seconds=_TURN_SECONDS)
        except StoreUnavailable as error:
            self._unshared.failed(
                "The analysis %s is computed without a turn, perhaps by other engines as well: %s", key, error
            )
            return _Turn.UNSHARED
        self._unshared.over()
        return _Turn.HELD if held else _Turn.TAKEN

    async def _stored(self, key: str) -> StoredReport | None:
        try:
            return await self._store.load(key)
        except StoreUnavailable:
            return None

    async def _prolonging(self, key: str, token: str, compute: Callable[[], Awaitable[StoredReport]]) -> StoredReport:
        computed: list[StoredReport] = []
        failures: list[Exception] = []

        async def prolong() -> None:
            while True:
                await anyio.sleep(_PROLONG_SECONDS)
                await self._claim(key, token)

        async with open_task_group("turn") as group:
            group.start_soon(prolong, name="prolong the turn")
            try:
                computed.append(await compute())
            except Exception as error:  # noqa: BLE001 - raised below, out of the group, as it is
                failures.append(error)
            group.cancel_scope.cancel()
        if failures:
            raise failures[0]
        return computed[0]
