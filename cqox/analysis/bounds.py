"""Resource limits of an engine."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cqox.analysis.workers.limits import ProcessLimits

if TYPE_CHECKING:
    # The stores take long to load, and a session begins with its worker.
    from cqox.analysis.places import Places
    from cqox.storage import TenantRetention

__all__ = ["Bounds", "RetentionPeriods"]

_FILES_LARGER_THAN_EXPANDED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPeriods:
    """Retention periods in days; 0 to keep forever.

    Attributes:
        reports: from their computation, or the end of a job that refers to them.
        datasets: from their last upload or analysis.
        jobs: from their end.
    """

    reports: float = 0.0
    datasets: float = 0.0
    jobs: float = 0.0

    def shortened(self, own: "TenantRetention") -> "RetentionPeriods":
        """Return the periods of a tenant: its own ones, as far as they are shorter than these."""
        return RetentionPeriods(
            reports=_shorter(self.reports, own.reports),
            datasets=_shorter(self.datasets, own.datasets),
            jobs=_shorter(self.jobs, own.jobs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Resource limits of an engine.

    Attributes:
        analyses: maximum number of concurrent computations.
        queued: maximum number of queued computations.
        threads: threads of one computation.
        worker_memory_bytes: memory limit of one in addition to its code, 0 for none.
        file_limits: settings of `cqox.datasets.Limits` by name; missing ones have its defaults.
        task_seconds: timeout of one computation for all callers, 0 for none.
        reserve_bytes: space to keep free on the disk of the data directory; 64 MiB if None.
        originals_bytes: the most space that originals of uploads take on that disk; 0 keeps none.
        keep: the retention periods.
        cpu_seconds_per_hour: CPU seconds of one tenant's analyses and previews in an hour, 0 for no limit.
        share_days: days after which every share link expires, 0 to allow none.
        places: sources of tables in place, with their slots and circuits; None without any.
        standby: keep further warm workers, for uploads and figures and in place of a killed one. Without, there is one
            worker, and it starts as fast as it can.
    """

    analyses: int
    queued: int = 64
    threads: int
    worker_memory_bytes: int
    file_limits: Mapping[str, int]
    task_seconds: float = 0.0
    reserve_bytes: int | None = None
    originals_bytes: int = 0
    keep: RetentionPeriods = RetentionPeriods()
    cpu_seconds_per_hour: int = 0
    share_days: float = 0.0
    places: "Places | None" = None
    standby: bool = True

    def of_a_worker(self) -> ProcessLimits:
        """Return the kernel limits of a worker process; wider than the limits that the engine enforces itself."""
        return ProcessLimits(
            memory_bytes=self.worker_memory_bytes,
            cpu_seconds=math.ceil(self.task_seconds * (self.threads + 1)),
            file_bytes=_FILES_LARGER_THAN_EXPANDED * self.file_limits.get("max_expanded_bytes", 0),
        )


def _shorter(days: float, own: float | None) -> float:
    return own if own and (not days or own < days) else days
