"""Everything that is stored, encrypted as it would be written now: after encryption was switched on, or a key replaced.

Engines may serve meanwhile. Each row and each data set changes in one step, and a run that was interrupted is repeated:
what is current is not touched.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from cqox.contract.messages import Message
from cqox.encryption import KeysUnavailable
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage import DataDirectory, ResultDatabase, ResultStore, SealedStore, Sealing, SharedCache
from cqox.storage.contracts import Record
from cqox.storage.resealing import resealing_of
from cqox.threads import run_in_thread

__all__ = ["Rekeyed", "rekey", "rotate"]

_PAGE = 100


@dataclass(slots=True, kw_only=True)
class Rekeyed:
    """Result of a run for one tenant.

    Attributes:
        datasets: data sets whose files were written again.
        rows: rows of the result store that were.
        figures: analyses whose rendered figures were removed.
        uploads: uploads in pieces, which stay as they are until they end, a day at most.
        failures: one sentence for each that could not be done.
    """

    datasets: int = 0
    rows: int = 0
    figures: int = 0
    uploads: int = 0
    failures: list[str] = field(default_factory=list)


async def rotate(sealing: Sealing, tenants: Sequence[str]) -> None:
    """Give each tenant a new key for what is written from now on.

    Raises:
        StoreUnavailable: the key ring is away.
    """
    ring = sealing.ring
    if ring is None:
        raise StoreUnavailable(Message("encryption.no-keys"))
    for tenant_id in tenants:
        try:
            await run_in_thread(ring.rotate, tenant_id)
        except KeysUnavailable as error:
            raise StoreUnavailable(Message("encryption.keys-away", reason=str(error))) from error


async def rekey(
    tenant_id: str,
    *,
    database: ResultDatabase,
    cache: SharedCache,
    directory: DataDirectory,
    sealing: Sealing,
    progress: Callable[[Rekeyed], None] = lambda _: None,
) -> Rekeyed:
    """Write what a tenant has stored as it would be written now.

    Args:
        tenant_id: the tenant.
        database: the result store.
        cache: the result cache, from which its reports are removed.
        directory: the data directory.
        sealing: encryption at rest, which also opens what is there.
        progress: called after each page of rows and each data set.
    """
    done = Rekeyed()
    below, files = database.within(tenant_id), directory.within(tenant_id)
    store = SealedStore(below, sealing.of(tenant_id), prepare=database.finish)
    resealing = resealing_of(files)
    for dataset_id in await files.kept():
        try:
            done.datasets += await resealing.dataset(dataset_id)
        except NotFound:
            continue
        except StoreUnavailable as error:
            done.failures.append(f"{dataset_id}: {error}")
        progress(done)
    done.figures = await resealing.figures()
    done.uploads = await files.threaded(files.partial.count)
    await resealing.end()
    async for rows in _rows(below, done):
        for row in rows:
            try:
                done.rows += await store.renew(row)
            except StoreUnavailable as error:
                done.failures.append(str(error))
        progress(done)
    await _empty(cache, tenant_id, below)
    try:
        # The former rows lie in the log of a store that engines have open.
        await database.scrub()
    except StoreUnavailable as error:
        done.failures.append(str(error))
    return done


async def _rows(store: ResultStore, done: Rekeyed) -> AsyncIterator[Sequence[Record]]:
    yield await store.datasets()
    before = None
    while True:
        page = await store.reports(limit=_PAGE, before=before)
        for head in page.items:
            try:
                found = [await store.load(head.analysis_id), await store.annotation(head.analysis_id)]
            except StoreUnavailable as error:
                done.failures.append(str(error))
                continue
            yield [each for each in found if each is not None]
        before = page.next
        if before is None:
            break
    while True:
        jobs = await store.jobs(limit=_PAGE, before=before)
        yield jobs.items
        before = jobs.next
        if before is None:
            return


async def _empty(cache: SharedCache, tenant_id: str, store: ResultStore) -> None:
    """Remove the reports of a tenant from a shared cache, which holds them for a day otherwise."""
    before = None
    while True:
        page = await store.reports(limit=_PAGE, before=before)
        await cache.within(tenant_id).erase([head.analysis_id for head in page.items])
        before = page.next
        if before is None:
            return
