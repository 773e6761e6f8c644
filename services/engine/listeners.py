"""A bound on the event-stream clients of each job, so that one job cannot exhaust the connections."""

import weakref
from collections import Counter

from cqox.errors import TooManyListeners
from cqox.storage import DEFAULT_TENANT

__all__ = ["Listener", "Listeners"]

_MOST = 64
_RETRY_SECONDS = 15.0


class Listener:
    """One event-stream client; it is counted until `leave` is called or it is garbage-collected."""

    __slots__ = ("__weakref__", "_end")

    def __init__(self, listeners: "Listeners", key: tuple[str, str]) -> None:
        # A response that is never sent is dropped without closing its generator.
        self._end = weakref.finalize(self, listeners.left, key)

    def leave(self) -> None:
        """End the count of this client."""
        self._end()


class Listeners:
    """The event-stream clients of all jobs.

    Args:
        most: the most clients of one job.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._count = Counter[tuple[str, str]]()

    def join(self, job_id: str, tenant_id: str = DEFAULT_TENANT) -> Listener:
        """Count a client of a job of a tenant.

        Raises:
            TooManyListeners: the job has the most clients already.
        """
        if self.count(job_id, tenant_id) >= self._most:
            raise TooManyListeners(f"job {job_id}", most=self._most, retry_after=_RETRY_SECONDS)
        key = (tenant_id, job_id)
        self._count[key] += 1
        return Listener(self, key)

    def count(self, job_id: str, tenant_id: str = DEFAULT_TENANT) -> int:
        """Return the number of clients of a job of a tenant."""
        return self._count.get((tenant_id, job_id), 0)

    def left(self, key: tuple[str, str]) -> None:
        """Count one client fewer."""
        self._count[key] -= 1
        if not self._count[key]:
            del self._count[key]
