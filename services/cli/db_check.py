"""`cqox db check`: the consistency of database rows and files."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cqox.analysis.stores import open_volume, store_of
from cqox.errors import StoreUnavailable
from cqox.storage import (
    DEFAULT_TENANT,
    DataDirectory,
    ResultDatabase,
    ResultStore,
    Sealing,
    StoredReport,
    TenantFiles,
)
from services.cli.db_session import run
from services.config.settings import Settings
from services.engine.addresses import store_addresses
from services.engine.keyring import open_sealing

__all__ = ["Finding", "check", "every_tenant", "find"]

# A file that was just stored may not be registered yet.
_GRACE_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An inconsistency.

    Attributes:
        kind: `missing`, `damaged`, `orphan` or `leftover`.
        what: its description.
        tenant_id: the tenant that it belongs to; empty for a leftover.
        dataset_id: data set of the orphaned files.
        owner: the dead engine that owns a leftover.
        analysis_id: analysis of the orphaned figures.
    """

    kind: str
    what: str
    tenant_id: str = ""
    dataset_id: str = ""
    owner: str = ""
    analysis_id: str = ""


def check(*, remove: bool) -> int:
    """Print the findings; return 1 where any is left."""

    async def command(store: ResultDatabase, settings: Settings) -> int:
        sealing = open_sealing(settings)
        volume = open_volume(settings.data_dir, store_addresses(settings, sealing=sealing))
        directory = DataDirectory(settings.data_dir, sealing=sealing, volume=volume)
        try:
            left = 0
            findings = [finding async for finding in find(store, directory, sealing)]
            for finding in findings:
                gone = remove and await _remove(store, directory, finding)
                left += not gone
                whose = "" if finding.tenant_id in ("", DEFAULT_TENANT) else f"tenant {finding.tenant_id}: "
                print(f"{finding.kind}: {whose}{finding.what}{' (removed)' if gone else ''}")
            if not findings:
                print("Rows and files are consistent.")
            return 1 if left else 0
        finally:
            directory.close()

    return run(command)


async def find(
    store: ResultDatabase, directory: DataDirectory, sealing: Sealing | None = None
) -> AsyncIterator[Finding]:
    """Find every inconsistency of every tenant, by reading all rows and files."""
    sealing = sealing or Sealing()
    for tenant_id in await every_tenant(store, directory):
        async for finding in _find_of(store_of(store, tenant_id, sealing), directory.within(tenant_id)):
            yield replace(finding, tenant_id=tenant_id)
    for owner in directory.dead_owners():
        yield Finding(kind="leftover", what=f"files of the engine {owner}, which is gone", owner=owner)


async def every_tenant(store: ResultDatabase, directory: DataDirectory) -> Sequence[str]:
    """Return the tenants that have a row or a folder, `default` first."""
    registered = [tenant.tenant_id for tenant in await store.tenants()]
    return list(dict.fromkeys([*await directory.tenants(), *registered]))


async def _find_of(store: ResultStore, files: TenantFiles) -> AsyncIterator[Finding]:
    registered = {record.dataset_id for record in await store.datasets()}
    for dataset_id in sorted(registered):
        if not await files.has(dataset_id):
            yield Finding(kind="missing", what=f"the files of the data set {dataset_id}; upload it again")
    for dataset_id, kept_at in (await files.kept()).items():
        if not await files.is_intact(dataset_id):
            yield Finding(kind="damaged", what=f"the files of the data set {dataset_id}")
        if dataset_id not in registered and time.time() - kept_at > _GRACE_SECONDS:
            yield Finding(
                kind="orphan", what=f"the files of the data set {dataset_id}, which no row names", dataset_id=dataset_id
            )
    drawn = await files.drawn()
    stored = {report.analysis_id for report in await _heads(store)}
    for analysis_id in sorted(stored):
        try:
            await store.load(analysis_id)
        except StoreUnavailable as error:
            yield Finding(kind="damaged", what=str(error))
    for analysis_id, drawn_at in drawn.items():
        if analysis_id not in stored and time.time() - drawn_at > _GRACE_SECONDS:
            what = f"the figures of the analysis {analysis_id}, which is not stored"
            yield Finding(kind="orphan", what=what, analysis_id=analysis_id)


async def _heads(store: ResultStore) -> Sequence[StoredReport]:
    heads, before = list[StoredReport](), None
    while True:
        page = await store.reports(limit=200, before=before)
        heads += page.items
        before = page.next
        if before is None:
            return heads


async def _remove(store: ResultDatabase, directory: DataDirectory, finding: Finding) -> bool:
    if finding.dataset_id:
        await directory.within(finding.tenant_id).delete(finding.dataset_id)
    elif finding.analysis_id:
        await directory.within(finding.tenant_id).erase(finding.analysis_id)
    elif finding.owner:
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        await store.interrupt_jobs(finding.owner, finished_at=now)
        await directory.reclaim(finding.owner)
    return finding.kind in ("orphan", "leftover")
