"""Refusing work before it costs anything, the least critical first.

What lives here: at what load which level is refused. What does not: where the level comes from (`criticality`,
`http`), and hard limits on concurrency (`bulkhead`, `adaptive`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import cast

from cqox import errors
from cqox.resilience.pipeline.part import Gate, Permit
from cqox.resilience.runtime.ambient_deadline import Ambient
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.criticality import Criticality, current_criticality
from cqox.resilience.runtime.ranges import check_callable, check_count, check_name, check_seconds, check_share

__all__ = ["DEFAULT_SHARES", "Shed", "ShedSnapshot"]

DEFAULT_SHARES: Mapping[Criticality, float] = MappingProxyType(
    {
        Criticality.SHEDDABLE: 0.6,
        Criticality.SHEDDABLE_PLUS: 0.75,
        Criticality.CRITICAL: 0.9,
        Criticality.CRITICAL_PLUS: 1.0,
    }
)
"""How much of the capacity may be in use for a call of each level to be let in still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShedSnapshot:
    """A shed at one moment; the totals are those since it was made.

    Attributes:
        name: name of the shed.
        load: the load, 1.0 being the capacity.
        running: calls that it has let in and that have not ended.
        admitted: calls let in.
        rejected: calls refused, by level.
    """

    name: str
    load: float
    running: int
    admitted: int
    rejected: Mapping[Criticality, int]


class Shed(Gate):
    """Lets a call in only while the load is below the share of the capacity that its criticality may use.

    The load is the number of calls under way by `capacity`, or what `load` tells where that is given. A health probe
    (`Criticality.PROBE`) is never refused, and counts.
    """

    __slots__ = (
        "_capacity",
        "_clock",
        "_load",
        "_lock",
        "_permit",
        "_refused",
        "_retry_after",
        "_running",
        "_shares",
        "_total",
        "name",
    )

    def __init__(
        self,
        capacity: int,
        *,
        shares: Mapping[Criticality, float] = DEFAULT_SHARES,
        load: Callable[[], float] | None = None,
        retry_after: float = 1.0,
        name: str = "shed",
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a shed.

        Args:
            capacity: calls under way that are a load of 1, at least 1.
            shares: for each level the share of the capacity, above 0 and at most 1, at which it is refused. A level
                that is left out has the share of the next level above it. More critical levels have no smaller
                shares.
            load: tells the load, 1.0 being the capacity, instead of counting: a queue's delay, a memory's level.
            retry_after: seconds after which a refused call may try again, at least 0.
            name: what rejections call it.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.name = check_name(name)
        self._capacity = check_count("capacity", capacity)
        self._shares = _complete_shares(shares)
        check_callable("load", load)
        self._load = load
        self._retry_after = check_seconds("retry_after", retry_after)
        self._clock = bind_clock(f"Shed {name!r}", clock)
        self._lock = Lock()
        self._running = self._total = 0
        self._refused = dict.fromkeys(Criticality, 0)
        self._permit = _ShedPermit(self)

    def admit(self, deadline: Ambient | None) -> Permit:
        """Let the call in if its level may come in at this load.

        Raises:
            Shed: `cqox.errors.Shed`: it may not.
        """
        level = current_criticality()
        measured = None if self._load is None or level is Criticality.PROBE else self._load()
        with self._lock:
            load = self._running / self._capacity if measured is None else measured
            refused = level is not Criticality.PROBE and not load < self._shares[level]
            if refused:
                self._refused[level] += 1
            else:
                self._running += 1
                self._total += 1
        if refused:
            self.refuse(errors.Shed(self.name, retry_after=self._retry_after), self._clock.peek)
        return self._permit

    def leave(self) -> None:
        """One of the calls that were let in has ended."""
        with self._lock:
            self._running -= 1

    def reconfigure(self, *, capacity: int | None = None, shares: Mapping[Criticality, float] | None = None) -> None:
        """Go on with other settings; what is None stays as it is.

        Raises:
            ValueError: a setting is out of its range; nothing is changed.
        """
        self.prepare(capacity=capacity, shares=shares)()

    def prepare(self, **changes: object) -> Callable[[], None]:
        """See `Part.prepare`."""
        given, shares = changes.get("capacity"), changes.get("shares")
        capacity = self._capacity if given is None else check_count("capacity", given)
        complete = self._shares if shares is None else _complete_shares(shares)

        def change() -> None:
            with self._lock:
                self._capacity, self._shares = capacity, complete

        return change

    def snapshot(self) -> ShedSnapshot:
        """The load, and the totals."""
        load = None if self._load is None else self._load()
        with self._lock:
            return ShedSnapshot(
                name=self.name,
                load=self._running / self._capacity if load is None else load,
                running=self._running,
                admitted=self._total,
                rejected=MappingProxyType(dict(self._refused)),
            )

    def describe(self) -> str:
        """See `Part.describe`."""
        shares = ", ".join(f"{level.label} from {share:.0%}" for level, share in self._shares.items())
        return f"shed: of {self._capacity} calls under way, refuses {shares}"


class _ShedPermit(Permit):
    """A call that was let in; all are alike."""

    __slots__ = ("_shed",)

    lasting = True

    def __init__(self, shed: Shed) -> None:
        self._shed = shed

    def succeed(self, value: object) -> None:
        """See `Permit.succeed`."""
        self._shed.leave()

    def fail(self, error: BaseException) -> None:
        """See `Permit.fail`."""
        self._shed.leave()


def _complete_shares(shares: object) -> Mapping[Criticality, float]:
    """The share of every level but that of probes, checked."""
    given = cast("Mapping[object, object]", shares) if isinstance(shares, Mapping) else None
    if given is None or not given.keys() <= DEFAULT_SHARES.keys():
        levels = ", ".join(level.name for level in DEFAULT_SHARES)
        raise ValueError(f"shares must map some of the levels {levels} of Criticality to a share, not {shares!r}")
    complete: dict[Criticality, float] = {}
    above = 1.0
    for level in sorted(DEFAULT_SHARES, reverse=True):
        share = check_share(f"shares[{level.label}]", given.get(level, above))
        if share > above:
            raise ValueError(f"shares[{level.label}] must be at most that of the level above, {above:g}, not {share!r}")
        complete[level] = above = share
    return complete
