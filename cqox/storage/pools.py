"""How busy the connections of a store are, for whoever measures it."""

from dataclasses import dataclass

__all__ = ["PoolUse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """The connections of one pool at one moment.

    Attributes:
        name: of the pool.
        used: how many a call has.
        idle: how many are open and wait for a call.
        limit: how many there may be.
        waiting: how many calls wait for one.
    """

    name: str
    used: int
    idle: int
    limit: int
    waiting: int
