"""Metrics of the connection pools of stores; a store with a pool reports its use."""

from collections.abc import Callable
from typing import Protocol

from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.metrics import Labels

__all__ = ["Use", "watch_pools"]

_NAME = "db.client.connection.pool.name"
_STATE = "db.client.connection.state"


class Use(Protocol):
    """Snapshot of the connections of one pool."""

    @property
    def name(self) -> str:
        """Name of the pool."""
        ...

    @property
    def used(self) -> int:
        """Number of connections in use."""
        ...

    @property
    def idle(self) -> int:
        """Number of idle open connections."""
        ...

    @property
    def limit(self) -> int:
        """Maximum number of connections."""
        ...

    @property
    def waiting(self) -> int:
        """Number of calls waiting for a connection."""
        ...


def watch_pools(*stores: object) -> Callable[[], None]:
    """Observe the pools of the stores that have a thread-safe method `pool_use`.

    Returns:
        A function that stops it.
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
