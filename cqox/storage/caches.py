"""Contract of result caches, independent of the backend; one test suite runs on every backend."""

from collections.abc import Sequence
from typing import Protocol

from cqox.storage.contracts import StoredReport

__all__ = ["ResultCache", "SharedCache"]


class ResultCache(Protocol):
    """Cache of finished reports, and short leases by name. A loss of any entry affects speed only.

    Only `erase` raises if the cache is down: otherwise a cache that is down is empty, and a damaged value
    is a miss.
    """

    async def get(self, analysis_id: str) -> StoredReport | None:
        """Return the cached report, or None on a miss."""
        ...

    async def put(self, report: StoredReport) -> None:
        """Cache the report for a limited time; may evict other reports, or this one."""
        ...

    async def discard(self, analysis_id: str) -> None:
        """Remove the report from the cache."""
        ...

    async def erase(self, analysis_ids: Sequence[str]) -> None:
        """Remove these reports from the cache, for every engine that shares it.

        Raises:
            StoreUnavailable: the cache cannot be reached, so it may still hold them.
        """
        ...

    async def claim(self, analysis_id: str, *, token: str, seconds: float) -> bool:
        """Acquire or renew the lease of this name; return whether the token holds it now.

        A lease that is neither renewed nor released expires. If the cache is down every caller gets the lease.
        """
        ...

    async def release(self, analysis_id: str, *, token: str) -> None:
        """Release the lease if the token holds it."""
        ...


class SharedCache(Protocol):
    """A result cache with what all tenants have; `within` gives the `ResultCache` of one."""

    def within(self, tenant_id: str) -> ResultCache:
        """Return the cache of one tenant, which can neither read nor change anything of another.

        Raises:
            ValueError: the id can be none of a tenant.
        """
        ...

    async def ping(self) -> None:
        """Check that the cache answers.

        Raises:
            StoreUnavailable: it does not.
        """
        ...
