"""An object store with the files of all tenants, and the copies of them on the disk of this engine."""

from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from anyio import CapacityLimiter

from cqox.contract.messages import Message
from cqox.errors import ObjectStoreUnfit
from cqox.storage.objects.abandoned import sweep_probes, sweep_tenant
from cqox.storage.objects.address import ObjectStoreAddress
from cqox.storage.objects.client import Objects
from cqox.storage.objects.copies import LocalCopies
from cqox.storage.objects.editions import edition_of
from cqox.storage.objects.files import ObjectFiles
from cqox.storage.objects.keys import ERASED, PROBES, TENANTS, root_of
from cqox.storage.objects.marks import ErasureMarks
from cqox.storage.objects.originals import OriginalObjects, enforce
from cqox.storage.objects.probe import probe
from cqox.storage.objects.versions import Versions
from cqox.storage.sealing import Sealing, TenantSealing
from cqox.storage.tenant_ids import is_tenant_id
from cqox.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cqox.storage.data_directory import DataDirectory

__all__ = ["ObjectVolume"]

_THREADS = 16
_CONNECT_SECONDS = "2s"
_ATTEMPT_SECONDS = "15s"


class ObjectVolume:
    """The files of all tenants in an object store.

    Args:
        objects: the object store.
        copies: the copies on the disk of this engine.
        versions: knows and deletes former versions of objects; None where no key can sign that.

    Attributes:
        objects: the object store.
        copies: the copies on the disk of this engine.
        marks: the marks of recently erased data sets.
        limiter: threads of its calls; those of the disk are others, so that a store that hangs does not stop them.
    """

    def __init__(self, objects: Objects, copies: LocalCopies, *, versions: Versions | None = None) -> None:
        self.objects = objects
        self.copies = copies
        self.marks = ErasureMarks(objects)
        self.limiter = CapacityLimiter(_THREADS)
        self._versions = versions
        self._lock = Lock()
        self._is_ready = False

    @classmethod
    def open(cls, address: ObjectStoreAddress, data_dir: Path, *, copies_bytes: int) -> Self:
        """Return the volume of an address, without connecting.

        Args:
            address: where it is.
            data_dir: the data directory of this engine.
            copies_bytes: the most that copies of data sets take on its disk.
        """
        # It is not needed by an engine without an object store.
        from obstore.store import S3Store

        keys = address.keys
        options: dict[str, Any] = {"region": address.region, "conditional_put": "etag"}
        if address.endpoint:
            options["endpoint"] = address.endpoint
        if keys is not None:
            options |= {"access_key_id": keys.access_key, "secret_access_key": keys.secret_key}
            if keys.session_token:
                options["session_token"] = keys.session_token
        store = S3Store(
            address.bucket,
            prefix=address.prefix or None,
            client_options={
                "connect_timeout": _CONNECT_SECONDS,
                "timeout": _ATTEMPT_SECONDS,
                "allow_http": address.endpoint.startswith("http://"),
            },
            # Our own policy retries.
            retry_config={"max_retries": 0},
            **options,
        )
        copies = LocalCopies(data_dir / "copies", most_bytes=copies_bytes)
        versions = None if keys is None else Versions(address, keys)
        return cls(Objects(store), copies, versions=versions)

    def files_of(
        self, directory: "DataDirectory", root: Path, sealing: TenantSealing, *, tenant_id: str
    ) -> ObjectFiles:
        """Return the files of one tenant.

        Args:
            directory: the data directory of this engine.
            root: the folder of the tenant in it.
            sealing: encryption at rest for the tenant.
            tenant_id: the tenant.
        """
        return ObjectFiles(directory, root, sealing, volume=self, tenant_id=tenant_id)

    def ready(self) -> None:
        """Check once that the store is fit for the files of tenants; blocking.

        Raises:
            ObjectStoreUnfit: it ignores conditions, or keeps versions that could not be deleted.
            StoreUnavailable: it fails, or rejects the calls.
        """
        if not self._is_ready:
            with self._lock:
                self._prove()

    def _prove(self) -> None:
        if self._is_ready:
            # By another thread meanwhile.
            return
        if self._versions is not None and self._versions.are_kept():
            self.objects.versions = self._versions
        probe(self.objects)
        if self.objects.keeps_versions and self.objects.versions is None:
            raise ObjectStoreUnfit(Message("storage.objects-keep-versions"))
        self._is_ready = True

    async def check(self) -> None:
        """Check that the store answers.

        Raises:
            ObjectStoreUnfit, StoreUnavailable: see `ready`.
        """

        def check() -> None:
            self.ready()
            self.objects.get(f"{PROBES}answer")

        await run_in_thread(check, limiter=self.limiter, abandon_on_cancel=True)

    async def tenants(self) -> "Sequence[str]":
        """Return the tenants that have objects."""

        def find() -> list[str]:
            self.ready()
            return [name for name in self.objects.folders(TENANTS) if is_tenant_id(name)]

        return await run_in_thread(find, limiter=self.limiter)

    async def enforce_originals(self, sealing: Sealing, quota_bytes: int) -> int:
        """Remove the least recently used originals of all tenants beyond their quota; return how many were removed."""
        originals = [
            OriginalObjects(self.objects, tenant_id, quota_bytes=quota_bytes, sealing=sealing.of(tenant_id))
            for tenant_id in await self.tenants()
        ]
        return await run_in_thread(enforce, originals, quota_bytes, limiter=self.limiter)

    async def remove_tenant(self, tenant_id: str) -> None:
        """Delete everything of a tenant; nothing happens where there is nothing."""

        def remove() -> None:
            self.ready()
            self.objects.delete_below(root_of(tenant_id))
            self.objects.delete_below(f"{ERASED}{tenant_id}/")
            self.copies.forget_tenant(tenant_id)

        await run_in_thread(remove, limiter=self.limiter)

    async def sweep(self) -> int:
        """Remove copies of what others replaced or deleted, and objects that killed engines left; return the number."""

        def sweep(tenant_id: str) -> int:
            copies = self.copies.retain(tenant_id, partial(edition_of, self.objects, tenant_id))
            return copies + sweep_tenant(self.objects, tenant_id)

        count = 0
        for tenant_id in await self.tenants():
            count += await run_in_thread(sweep, tenant_id, limiter=self.limiter)
        return count + await run_in_thread(sweep_probes, self.objects, limiter=self.limiter)
