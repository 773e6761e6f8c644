"""Resource limits of an engine."""

from cqox.analysis.bounds import Bounds, RetentionPeriods
from cqox.analysis.workers import ProcessLimits
from cqox.storage import TenantRetention


def test_the_kernel_limits_of_a_worker_are_wider_than_the_engines_own() -> None:
    bounds = Bounds(
        analyses=2, threads=3, worker_memory_bytes=1000, file_limits={"max_expanded_bytes": 50}, task_seconds=2.5
    )
    assert bounds.of_a_worker() == ProcessLimits(memory_bytes=1000, cpu_seconds=10, file_bytes=100)


def test_without_limits_there_are_none() -> None:
    limits = Bounds(analyses=1, threads=1, worker_memory_bytes=0, file_limits={}).of_a_worker()
    assert limits == ProcessLimits(memory_bytes=0, cpu_seconds=0, file_bytes=0)


def test_a_tenant_may_shorten_a_retention_period_and_never_lengthen_it() -> None:
    longest = RetentionPeriods(reports=30.0, datasets=0.0, jobs=7.0)
    assert longest.shortened(TenantRetention()) == longest
    assert longest.shortened(TenantRetention(reports=60.0, datasets=90.0, jobs=1.0)) == RetentionPeriods(
        reports=30.0, datasets=90.0, jobs=1.0
    )
