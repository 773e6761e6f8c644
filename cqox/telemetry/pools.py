"""How busy the connections of stores are, as measures. Who has a pool says so himself."""

from collections.abc import Callable
from typing import Protocol

from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.metrics import Labels

__all__ = ["Use", "watch_pools"]

_NAME = "db.client.connection.pool.name"
_STATE = "db.client.connection.state"


class Use(Protocol):
    """The connections of one pool at one moment."""

    @property
    def name(self) -> str:
        """What the pool is called."""
        ...

    @property
    def used(self) -> int:
        """How many a call has."""
        ...

    @property
    def idle(self) -> int:
        """How many are open and wait for a call."""
        ...

    @property
    def limit(self) -> int:
        """How many there may be."""
        ...

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        ...


def watch_pools(*stores: object) -> Callable[[], None]:
    """Measure the pools of those stores that have one: a method `pool_use` that says how busy it is, on any thread.

    Returns:
        What ends it.
    """
    pools: list[Callable[[], Use]] = [store.pool_use for store in stores if hasattr(store, "pool_use")]

    def uses() -> list[Use]:
        return [pool() for pool in pools]

    def connections() -> list[tuple[float, Labels]]:
        return [
            (count, {_NAME: use.name, _STATE: state})
            for use in uses()
            for state, count in (("used", use.used), ("idle", use.idle))
        ]

    ends = [
        metrics.watch(metric_definitions.POOL_CONNECTIONS, connections),
        metrics.watch(metric_definitions.POOL_LIMIT, lambda: [(use.limit, {_NAME: use.name}) for use in uses()]),
        metrics.watch(metric_definitions.POOL_WAITING, lambda: [(use.waiting, {_NAME: use.name}) for use in uses()]),
    ]

    def end() -> None:
        for each in ends:
            each()

    return end
