"""The workers as one tenant uses them: the CPU time of its tasks is measured, and may have a bound in an hour."""

import math
from collections.abc import Mapping

from cqox.analysis.workers import Progress, Reply, Serve, WorkerPool
from cqox.contract.messages import Message
from cqox.errors import QuotaExceeded
from cqox.resilience.limits.keyed_budget import KeyedBudget
from cqox.telemetry import metric_definitions, metrics

__all__ = ["CPU_QUOTA", "MeteredPool", "cpu_budget"]

CPU_QUOTA = "cpu-seconds"
"""Name of the quota."""

_HOUR_SECONDS = 3600.0


def cpu_budget(seconds_per_hour: int) -> KeyedBudget | None:
    """Return the budget of CPU seconds of each tenant in an hour; None where there is no bound."""
    return KeyedBudget(seconds_per_hour, _HOUR_SECONDS, name=CPU_QUOTA) if seconds_per_hour else None


class MeteredPool:
    """The worker processes, on the account of a tenant.

    Args:
        pool: the worker processes.
        tenant_id: the tenant.
        budget: CPU seconds of all tenants; None where there is no bound.
    """

    def __init__(self, pool: WorkerPool, tenant_id: str, budget: KeyedBudget | None) -> None:
        self._pool = pool
        self._tenant_id = tenant_id
        self._budget = budget

    def check(self) -> None:
        """Check that the tenant has CPU time left.

        A task that has begun is never cut: what it uses beyond the budget is paid by those that follow.

        Raises:
            QuotaExceeded: it has used its CPU time of an hour.
        """
        if self._budget is None:
            return
        allowance = self._budget.check(self._tenant_id)
        if allowance.admitted:
            return
        metrics.count(metric_definitions.REJECTIONS, {"policy": CPU_QUOTA, "reason": "Quota"})
        seconds = max(1, math.ceil(allowance.retry_after))
        raise QuotaExceeded(
            CPU_QUOTA,
            detail=Message("security.quota-of-cpu-seconds", amount=self._budget.amount, seconds=seconds),
            retry_after=seconds,
        )

    async def run(
        self,
        name: str,
        arguments: Mapping[str, object],
        progress: Progress | None = None,
        *,
        serve: Serve | None = None,
    ) -> Reply:
        """Run a task, see `WorkerPool.run`, and account for its CPU time however it ends."""

        def spent(seconds: float) -> None:
            metrics.count(metric_definitions.CPU_SECONDS, {"task": name}, seconds)
            if self._budget is not None:
                self._budget.spend(self._tenant_id, seconds)

        return await self._pool.run(name, arguments, progress, serve=serve, spent=spent)
