"""How many clients listen to the events of one job: each job has a bound of its own, so that none shuts another out."""

import weakref
from collections import Counter

from cqox.errors import TooManyListeners

__all__ = ["Listener", "Listeners"]

_MOST = 64
_RETRY_SECONDS = 15.0


class Listener:
    """One client that listens; it counts until it leaves, or until nothing refers to it any more."""

    __slots__ = ("__weakref__", "_end")

    def __init__(self, listeners: "Listeners", job_id: str) -> None:
        # An answer that is never sent is dropped without a word to its generator.
        self._end = weakref.finalize(self, listeners.left, job_id)

    def leave(self) -> None:
        """Count no longer."""
        self._end()


class Listeners:
    """Those of all jobs.

    Args:
        most: how many listen to one job.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._count = Counter[str]()

    def join(self, job_id: str) -> Listener:
        """Count one more.

        Raises:
            TooManyListeners: the job has as many as it may have.
        """
        if self.count(job_id) >= self._most:
            raise TooManyListeners(f"job {job_id}", most=self._most, retry_after=_RETRY_SECONDS)
        self._count[job_id] += 1
        return Listener(self, job_id)

    def count(self, job_id: str) -> int:
        """How many listen to a job."""
        return self._count.get(job_id, 0)

    def left(self, job_id: str) -> None:
        """Count one fewer."""
        self._count[job_id] -= 1
        if not self._count[job_id]:
            del self._count[job_id]
