"""Metrics of an engine that are read when somebody looks: its places, workers, caches, disks and pending reports."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cqox.analysis.admission import ANALYSES, Admission
from cqox.analysis.disk_usage import DiskUsage
from cqox.analysis.metered_pool import CPU_QUOTA
from cqox.analysis.steps import STEPS
from cqox.analysis.workers import WorkerPool
from cqox.contract.estimators import ESTIMATORS
from cqox.contract.gates import GATE_STATUSES, GATES
from cqox.storage import MemoryCache, SharedCache
from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.metrics import Labels
from cqox.telemetry.pools import watch_pools

__all__ = ["watched"]

_REJECTED = (
    *((ANALYSES, reason) for reason in ("Bulkhead", "BulkheadFull", "Admission", "Late")),
    (CPU_QUOTA, "Quota"),
)
_REJECTIONS: tuple[Labels, ...] = tuple({"policy": policy, "reason": reason} for policy, reason in _REJECTED)
"""Rejections by an engine itself; those by policies of its stores are in `cqox.telemetry.policies`."""

_GATE_RESULTS: tuple[Labels, ...] = tuple(
    {"gate": gate, "status": status} for gate in GATES for status in GATE_STATUSES
)
_SKIPPED: tuple[Labels, ...] = tuple({"estimator": name} for name in ESTIMATORS)
_STEPS: tuple[Labels, ...] = tuple({"step": name} for name in STEPS)


@contextmanager
def watched(
    *,
    pool: WorkerPool,
    admission: Admission,
    disks: DiskUsage,
    store: object,
    cache: SharedCache,
    unstored: MemoryCache,
    pending: Callable[[], int],
) -> Iterator[None]:
    """Observe the parts of an engine while the block runs.

    Args:
        pool: the worker processes.
        admission: the places of computations.
        disks: the disks, as last seen.
        store: the result store.
        cache: the result cache.
        unstored: holds reports that no store has accepted so far.
        pending: returns the number of reports that wait for the store; for any thread.
    """

    def cache_sizes() -> list[tuple[float, Labels]]:
        sizes: list[tuple[float, Labels]] = [(unstored.size_bytes, {"cache": "unstored"})]
        if isinstance(cache, MemoryCache):
            sizes.append((cache.size_bytes, {"cache": "memory"}))
        return sizes

    def workers() -> list[tuple[float, Labels]]:
        return [(pool.idle, {"state": "idle"}), (pool.busy, {"state": "busy"})]

    ends = [
        metrics.watch(metric_definitions.ANALYSIS_PLACES, lambda: [(admission.size, {})]),
        metrics.watch(metric_definitions.ANALYSES_RUNNING, lambda: [(admission.running, {})]),
        metrics.watch(metric_definitions.QUEUE_DEPTH, lambda: [(admission.queued, {})]),
        metrics.watch(metric_definitions.QUEUE_OLDEST, lambda: [(admission.oldest_wait, {})]),
        metrics.watch(metric_definitions.WORKERS, workers),
        metrics.watch(metric_definitions.WORKER_RESTARTS, lambda: [(pool.restarts, {})]),
        metrics.watch(metric_definitions.WORKER_CPU, lambda: [(pool.cpu_seconds(), {})]),
        metrics.watch(metric_definitions.WORKER_MEMORY, lambda: [(pool.memory_bytes(), {})]),
        watch_pools(store, cache),
        metrics.watch(metric_definitions.CACHE_BYTES, cache_sizes),
        metrics.watch(metric_definitions.REPORTS_UNSTORED, lambda: [(pending(), {})]),
        metrics.watch(
            metric_definitions.DISK_FREE,
            lambda: [(space.free_bytes, {"disk": name}) for name, space in disks.found.items()],
        ),
        metrics.watch(
            metric_definitions.DISK_SIZE,
            lambda: [(space.size_bytes, {"disk": name}) for name, space in disks.found.items()],
        ),
        metrics.born(metric_definitions.REJECTIONS, lambda: _REJECTIONS),
        metrics.born(metric_definitions.GATE_RESULTS, lambda: _GATE_RESULTS),
        metrics.born(metric_definitions.ESTIMATOR_SKIPPED, lambda: _SKIPPED),
        metrics.born(metric_definitions.STEP_DURATION, lambda: _STEPS),
    ]
    try:
        yield
    finally:
        for end in ends:
            end()
