"""Slots and their priority queue: the pure core of every concurrency limit.

A released slot passes directly to a waiter, so that a new arrival cannot overtake. Invariant: a call waits only while
every slot is taken. The queue is ordered by criticality, then by arrival.

It takes no lock and wakes no waiter; both are duties of its owner, which also supplies the tickets.
"""

from collections import OrderedDict
from typing import Protocol

from cqox.resilience.runtime.criticality import Criticality

__all__ = ["Slots", "Ticket"]

_LEVELS = tuple(sorted(Criticality, reverse=True))


class Ticket(Protocol):
    """A place in the queue; compared by identity."""

    @property
    def level(self) -> Criticality:
        """Criticality of the waiting call."""
        ...


class Slots[T: Ticket]:
    """Slots and a queue for them. Every operation is O(1).

    Attributes:
        limit: number of slots, at least 1.
        queue_limit: length of the queue.
        taken: slots in use; above `limit` only after `limit` was lowered.
        waiting: tickets in the queue.
    """

    __slots__ = ("_queues", "limit", "queue_limit", "taken", "waiting")

    def __init__(self, limit: int, queue_limit: int) -> None:
        self.limit = limit
        self.queue_limit = queue_limit
        self.taken: int = 0
        self.waiting: int = 0
        self._queues: dict[Criticality, OrderedDict[T, None]] = {level: OrderedDict() for level in _LEVELS}

    def enter(self) -> bool:
        """Acquire a slot if one is free."""
        if self.taken >= self.limit:
            return False
        self.taken += 1
        return True

    def enqueue(self, ticket: T) -> tuple[bool, T | None]:
        """Queue `ticket`.

        Returns:
            Whether it was queued, and the ticket that it evicted: the latest of the least critical level, where the
            queue was full and `ticket` is more critical.
        """
        evicted = None
        if self.waiting >= self.queue_limit:
            evicted = self._least_critical_below(ticket.level)
            if evicted is None:
                return False, None
            del self._queues[evicted.level][evicted]
            self.waiting -= 1
        self._queues[ticket.level][ticket] = None
        self.waiting += 1
        return True, evicted

    def leave(self) -> T | None:
        """Release a slot.

        Returns:
            The ticket that the slot passes to, or None where the slot is free.
        """
        if self.waiting and self.taken <= self.limit:
            return self._next()
        self.taken -= 1
        return None

    def remove(self, ticket: T) -> bool:
        """Remove `ticket` from the queue; return False where it was already granted a slot or evicted."""
        queue = self._queues[ticket.level]
        if ticket not in queue:
            return False
        del queue[ticket]
        self.waiting -= 1
        return True

    def resize(self, limit: int, queue_limit: int) -> tuple[list[T], list[T]]:
        """Change the limits. Acquired slots are not revoked.

        Returns:
            The tickets that are granted a slot, and those evicted from the queue.
        """
        self.limit, self.queue_limit = limit, queue_limit
        granted: list[T] = []
        while self.waiting and self.taken < limit:
            self.taken += 1
            granted.append(self._next())
        evicted: list[T] = []
        while self.waiting > queue_limit:
            ticket = self._least_critical_below(None)
            if ticket is None:
                break
            self.remove(ticket)
            evicted.append(ticket)
        return granted, evicted

    def _next(self) -> T:
        for level in _LEVELS:
            if self._queues[level]:
                self.waiting -= 1
                return self._queues[level].popitem(last=False)[0]
        raise AssertionError("the queue is empty")

    def _least_critical_below(self, level: Criticality | None) -> T | None:
        for lower in reversed(_LEVELS):
            if level is not None and lower >= level:
                return None
            if self._queues[lower]:
                return next(reversed(self._queues[lower]))
        return None
