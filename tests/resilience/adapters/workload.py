"""Policies of every kind in a registry of their own, and calls that leave a mark in each metric."""

import anyio
import pytest

from cqox.errors import BulkheadFull, CircuitOpen, RateLimited
from cqox.errors import Shed as LoadShed
from cqox.resilience import (
    AdaptiveLimit,
    Bulkhead,
    CircuitBreaker,
    Criticality,
    Drain,
    Policy,
    RateLimit,
    Registry,
    Retry,
    RetryBudget,
    Shed,
    Timeout,
    criticality,
)

SECRET = "password=hunter2"
"""Text of the exceptions, which no metric and no span event may show."""

type Values = dict[tuple[str, ...], float]
"""Values of a metric by the values of its labels."""

EVENTS: dict[str, Values] = {
    "cqox.circuit.transitions": {("orders circuit", "open"): 1},
    "cqox.retry.attempts": {("orders",): 1},
    "cqox.retry.given_up": {("orders",): 2},
    "cqox.timeouts": {("slow",): 1},
}
"""Counts above 0 of what only events show, after `fail`."""

REJECTIONS: Values = {
    ("orders circuit", "CircuitBreaker"): 1,
    ("places", "Bulkhead"): 1,
    ("quota", "RateLimit"): 1,
    ("load", "Shed"): 1,
}

STATE: dict[str, Values] = {
    "cqox.circuit.state": {("orders circuit", "open"): 1},
    "cqox.circuit.calls": {("orders circuit", "failure"): 2, ("orders circuit", "rejected"): 1},
    "cqox.retry.budget.requests": {("orders budget", "granted"): 1, ("orders budget", "refused"): 1},
    "cqox.limit.calls": {
        ("places", "admitted"): 1,
        ("places", "rejected"): 1,
        ("adaptive", "admitted"): 1,
        ("quota", "admitted"): 1,
        ("quota", "rejected"): 1,
        ("load", "admitted"): 1,
        ("load", "rejected"): 1,
    },
    "cqox.bulkhead.running": {("places",): 1, ("adaptive",): 1},
    "cqox.bulkhead.limit": {("places",): 1, ("adaptive",): 4},
    "cqox.shed.load": {("load",): 1},
    "cqox.drain.running": {("drain",): 1},
}
"""Values other than 0 of what the parts show inside of all limits; those that move in time are absent."""


class Workload:
    """The policies, which live as long as this."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.orders = Policy(
            "orders",
            CircuitBreaker("orders circuit", failure_threshold=2),
            Retry(2, 0.0, idempotent=True, budget=RetryBudget(ratio=0.0, floor_per_second=0.1, name="orders budget")),
        )
        self.slow = Policy("slow", Timeout(0.5, name="slow"))
        self.limits = Policy(
            "limits",
            Drain("drain"),
            Shed(1, name="load"),
            RateLimit(1, 3600.0, name="quota"),
            Bulkhead(1, name="places"),
            AdaptiveLimit(4, name="adaptive"),
        )
        for policy in (self.orders, self.slow, self.limits):
            self.registry.add(policy.name, policy)
            for part in policy.parts:
                if isinstance(part, CircuitBreaker | Bulkhead):
                    self.registry.add(part.name, part)

    async def fail(self) -> None:
        """Open the circuit with two calls, with one retry that the budget grants; have a third call rejected."""
        for _ in range(2):
            with pytest.raises(OSError, match="hunter2"):
                await self.orders.call(_broken)
        with pytest.raises(CircuitOpen):
            await self.orders.call(_broken)
        with pytest.raises(TimeoutError):
            await self.slow.call(anyio.sleep, 3600.0)

    async def inside(self, look) -> None:
        """Call `look` inside of all limits, each of which has then rejected one more call."""
        await self.limits.call(self._look, look)

    async def _look(self, look) -> None:
        _, shed, quota, places, _ = self.limits.parts
        for part, error in ((places, BulkheadFull), (quota, RateLimited)):
            with pytest.raises(error):
                await part(anyio.sleep)(0.0)
        with criticality(Criticality.SHEDDABLE), pytest.raises(LoadShed):
            await shed(anyio.sleep)(0.0)
        look()


async def _broken() -> None:
    raise OSError(SECRET)


def above_zero(values: Values) -> Values:
    """Return the values other than 0."""
    return {labels: value for labels, value in values.items() if value}
