"""Slots that callers share fairly: the pure core of `fair_bulkhead`.

A released slot goes to the waiting caller with the fewest slots, and among equals to the one that has used the fewest
slot seconds. A caller that was idle starts at the least use of the active ones, so it saves up no priority: this
is start-time fair queueing (Goyal, Vin and Cheng 1996), with the use known only at the end of a call. The calls of one
caller are ordered as in `slots`: by criticality, then by arrival.

Two reserves keep room for callers that come and go. The last free slot is kept for a caller without one while such a
caller has called within `_REMEMBERED_SECONDS`. A full queue still takes calls of a caller that has fewer than its share
waiting, up to twice its length. A single caller may use everything.
"""

from collections.abc import Callable, Hashable
from typing import Protocol

from cqox.resilience.limits.slots import Slots, Ticket

__all__ = ["CallerTicket", "FairSlots"]

_REMEMBERED_SECONDS = 30.0
_SHARES = 8
"""The share of a caller in a full queue is this part of its length."""


class CallerTicket(Ticket, Protocol):
    """A place in the queue, with the caller that it belongs to."""

    @property
    def caller(self) -> Hashable:
        """The caller."""
        ...


class _Caller[T: CallerTicket]:
    """The calls of one caller.

    Attributes:
        running: slots in use.
        used: slot seconds, above those that others had used when it came.
        seen: time of its latest call.
        queue: its waiting calls, as the queue of one slot that is always taken.
    """

    __slots__ = ("queue", "running", "seen", "used")

    def __init__(self) -> None:
        self.running = 0
        self.used = self.seen = 0.0
        self.queue = Slots[T](1, 0)
        self.queue.enter()

    @property
    def is_active(self) -> bool:
        return self.running > 0 or self.queue.waiting > 0


class FairSlots[T: CallerTicket](Slots[T]):
    """Slots and a queue for them, shared by callers. An operation is linear in the number of recent callers.

    Args:
        limit: number of slots.
        queue_limit: length of the queue.
        now: monotonic clock, in seconds.
    """

    __slots__ = ("_callers", "_now")

    def __init__(self, limit: int, queue_limit: int, now: Callable[[], float]) -> None:
        super().__init__(limit, queue_limit)
        self._now = now
        self._callers: dict[Hashable, _Caller[T]] = {}

    def enter(self, caller: Hashable = None) -> bool:
        """Acquire a slot for a caller if one is free for it."""
        party = self._called(caller)
        if party.queue.waiting or not self._is_free_for(party):
            return False
        self._start(party)
        return True

    def enqueue(self, ticket: T) -> tuple[bool, T | None]:
        """Queue a ticket; see `Slots.enqueue`. It can evict only a ticket of its own caller."""
        queue = self._called(ticket.caller).queue
        queue.queue_limit = queue.waiting + self._has_room(queue.waiting)
        queued, evicted = queue.enqueue(ticket)
        self.waiting += queued and evicted is None
        return queued, evicted

    def leave(self, caller: Hashable = None, seconds: float = 0.0) -> T | None:
        """Release a slot of a caller after `seconds`; return a ticket that is granted one.

        More may be granted by `claim`, until it returns None.
        """
        party = self._callers[caller]
        party.running -= 1
        party.used += seconds
        party.seen = self._now()
        self.taken -= 1
        return self.claim()

    def claim(self) -> T | None:
        """Grant a free slot to the ticket whose turn it is, and return it; None where no slot is free for any."""
        if not self.waiting or self.taken >= self.limit:
            return None
        self._forget()
        ready = [party for party in self._callers.values() if party.queue.waiting and self._is_free_for(party)]
        if not ready:
            return None
        party = min(ready, key=lambda each: (each.running, each.used))
        ticket = party.queue.leave()
        self.waiting -= 1
        self._start(party)
        return ticket

    def remove(self, ticket: T) -> bool:
        """Remove a ticket from the queue; return False where it was already granted a slot or evicted."""
        party = self._callers.get(ticket.caller)
        if party is None or not party.queue.remove(ticket):
            return False
        self.waiting -= 1
        return True

    def resize(self, limit: int, queue_limit: int) -> tuple[list[T], list[T]]:
        """Change the limits; see `Slots.resize`. Callers with the most waiting calls lose theirs first."""
        self.limit, self.queue_limit = limit, queue_limit
        granted, evicted = list[T](), list[T]()
        while (ticket := self.claim()) is not None:
            granted.append(ticket)
        while self.waiting > queue_limit:
            queue = max((party.queue for party in self._callers.values()), key=lambda each: each.waiting)
            evicted += queue.resize(1, queue.waiting - 1)[1]
            self.waiting -= 1
        return granted, evicted

    def is_full_for(self, caller: Hashable) -> bool:
        """Return whether a call of a caller would neither get a slot nor a place in the queue."""
        party = self._callers.get(caller, _Caller[T]())
        return not self._is_free_for(party) and not self._has_room(party.queue.waiting)

    def is_free_for(self, caller: Hashable) -> bool:
        """Return whether a call of a caller would get a slot at once."""
        party = self._callers.get(caller, _Caller[T]())
        return not party.queue.waiting and self._is_free_for(party)

    def ahead(self, caller: Hashable) -> int:
        """Return the number of waiting calls that are served before a new one of a caller, at most."""
        own = self._callers.get(caller, _Caller[T]())
        turns = own.queue.waiting + 1
        others = (party.queue.waiting for party in self._callers.values() if party is not own)
        return own.queue.waiting + sum(min(waiting, turns) for waiting in others)

    def calls(self, caller: Hashable) -> int:
        """Return the number of calls of a caller that run or wait."""
        party = self._callers.get(caller)
        return 0 if party is None else party.running + party.queue.waiting

    def _called(self, caller: Hashable) -> _Caller[T]:
        self._forget()
        party = self._callers.get(caller)
        if party is None:
            party = self._callers[caller] = _Caller[T]()
        if not party.is_active:
            party.used = max(
                party.used, min((each.used for each in self._callers.values() if each.is_active), default=0.0)
            )
        party.seen = self._now()
        return party

    def _start(self, party: _Caller[T]) -> None:
        self.taken += 1
        party.running += 1

    def _is_free_for(self, party: _Caller[T]) -> bool:
        free = self.limit - self.taken
        if free != 1 or self.limit == 1 or not party.running:
            return free > 0
        return all(each.running for each in self._callers.values() if each is not party)

    def _has_room(self, waiting: int) -> bool:
        if self.waiting < self.queue_limit:
            return True
        return self.waiting < 2 * self.queue_limit and waiting < max(1, self.queue_limit // _SHARES)

    def _forget(self) -> None:
        # A single caller keeps nothing from others, however long ago it called.
        if len(self._callers) < 2:
            return
        since = self._now() - _REMEMBERED_SECONDS
        for key in [key for key, party in self._callers.items() if not party.is_active and party.seen < since]:
            del self._callers[key]
