"""Erasure of a tenant: its requests are refused first, then all that it has is deleted, and its key destroyed."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cqox import clock
from cqox.analysis.erasure_progress import Progress
from cqox.analysis.erasures import Save
from cqox.storage import DEFAULT_TENANT, DataDirectory, ResultDatabase
from cqox.threads import run_in_thread

if TYPE_CHECKING:
    from cqox.analysis.tenant import TenantAnalyses

__all__ = ["DestroyKey", "TenantEraser"]

type DestroyKey = Callable[[str], bool]
"""Destroys the encryption key of a tenant for ever; returns whether it had one. Blocking; raises `StoreUnavailable`."""


class TenantEraser:
    """Erases tenants. A repeated call deletes what an earlier one has left.

    Args:
        database: tenants and their API keys.
        directory: their files on this disk.
        within: returns the services of a tenant.
        learn: finds out which tenants are erased, so that their requests are refused here.
        destroy_key: destroys an encryption key; None where nothing is encrypted.
    """

    def __init__(
        self,
        *,
        database: ResultDatabase,
        directory: DataDirectory,
        within: "Callable[[str], TenantAnalyses]",
        learn: Callable[[], Awaitable[None]],
        destroy_key: DestroyKey | None = None,
    ) -> None:
        self._database = database
        self._directory = directory
        self._within = within
        self._learn = learn
        self._destroy_key = destroy_key

    async def erase(self, tenant_id: str, progress: Progress, save: Save) -> None:
        """Erase everything of a tenant but its audit log and the records of its erasures.

        Args:
            tenant_id: the tenant, never `default`.
            progress: records what is deleted, before it is.
            save: stores the progress.

        Raises:
            ValueError: the tenant is `default`.
            StoreUnavailable: a store, a cache, the disk or the keys cannot be reached; repeat the call.
        """
        if tenant_id == DEFAULT_TENANT:
            raise ValueError("the tenant default is never erased")
        await self._close(tenant_id)
        analyses = self._within(tenant_id)
        for record in await analyses.store.datasets():
            await analyses.erasures.erase_dataset(record.dataset_id, progress, save)
        await analyses.erasures.erase_reports(progress, save)
        await analyses.erasures.note_jobs(progress)
        progress.uploads.update(await analyses.erasures.uploads())
        progress.api_keys.update(key.key_id for key in await self._database.keys(tenant_id))
        await save()
        await self._database.delete_keys(tenant_id)
        await analyses.store.erase_everything()
        if self._destroy_key is not None:
            destroyed = await run_in_thread(self._destroy_key, tenant_id)
            progress.encryption_key = destroyed or bool(progress.encryption_key)
            await save()
        await self._directory.remove_tenant(tenant_id)

    async def _close(self, tenant_id: str) -> None:
        """Record that the tenant is erased, without its name, so that nothing of it is answered any more."""
        record = await self._database.tenant(tenant_id)
        if record is not None and record.erased_at is None:
            now = clock.timestamp()
            await self._database.put_tenant(replace(record, name=tenant_id, erased_at=now))
        await self._learn()
