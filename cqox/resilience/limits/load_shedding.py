"""Load shedding by criticality: reject the least critical work first, before it costs anything.

The level comes from `criticality`; hard limits on concurrency are `bulkhead` and `adaptive`.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import Self, cast

from cqox import errors
from cqox.resilience.pipeline.part import Gate, Permit
from cqox.resilience.runtime.ambient_deadline import AmbientDeadline
from cqox.resilience.runtime.clock import Clock, TimeSource, bind_clock
from cqox.resilience.runtime.criticality import Criticality, current_criticality
from cqox.resilience.runtime.ranges import (
    Seconds,
    check_callable,
    check_count,
    check_name,
    check_seconds,
    check_share,
)

__all__ = ["DEFAULT_SHARES", "Shed", "ShedSnapshot"]

DEFAULT_SHARES: Mapping[Criticality, float] = MappingProxyType(
    {
        Criticality.SHEDDABLE: 0.6,
        Criticality.SHEDDABLE_PLUS: 0.75,
        Criticality.CRITICAL: 0.9,
        Criticality.CRITICAL_PLUS: 1.0,
    }
)
"""Load below which calls of each level are admitted, as a share of the capacity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShedSnapshot:
    """Snapshot of a load shedder; the totals cover its lifetime.

    Attributes:
        name: name of the shed.
        load: the load, 1.0 being the capacity.
        running: admitted calls that have not ended.
        admitted: admitted calls.
        rejected: rejected calls, by level.
    """

    name: str
    load: float
    running: int
    admitted: int
    rejected: Mapping[Criticality, int]


class Shed(Gate):
    """A load shedder: it admits a call only while the load is below the share for its criticality.

    The load is the number of running calls divided by `capacity`, or the result of `load` where that is given. A health
    probe (`Criticality.PROBE`) is never rejected, but counts towards the load.
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
        retry_after: Seconds = 1.0,
        name: str = "shed",
        clock: Clock | TimeSource | None = None,
    ) -> None:
        """Make a shed.

        Args:
            capacity: running calls that make a load of 1, at least 1.
            shares: for each level the share of the capacity, above 0 and at most 1, from which it is rejected. An
                omitted level has the share of the next level above it. More critical levels have no smaller shares.
            load: returns the load, 1.0 being the capacity, instead of counting: queue delay or memory use, for example.
            retry_after: seconds after which a rejected call may be retried, at least 0.
            name: its name in rejections.
            clock: for tests.

        Raises:
            ValueError: a setting is out of its range.
        """
        self.name = check_name(name)
        self._capacity = check_count("capacity", capacity)
        self._shares = _complete_shares(shares)
        check_callable("load", load, takes=0)
        self._load = load
        self._retry_after = check_seconds("retry_after", retry_after)
        self._clock = bind_clock(f"Shed {name!r}", clock)
        self._lock = Lock()
        self._running = self._total = 0
        self._refused = dict.fromkeys(Criticality, 0)
        self._permit = _ShedPermit(self)

    def admit(self, deadline: AmbientDeadline | None) -> Permit:
        """Admit the call if its level is admitted at the current load.

        Raises:
            Shed: `cqox.errors.Shed`: the load is too high for its level.
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
        """Record the end of an admitted call."""
        with self._lock:
            self._running -= 1

    def reconfigure(self, *, capacity: int | None = None, shares: Mapping[Criticality, float] | None = None) -> None:
        """Change settings; None leaves a setting unchanged.

        Raises:
            ValueError: a setting is out of its range; no setting is changed.
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

    def for_key(self, key: Hashable) -> Self:
        """Return itself: the load is that of the process, whatever key its calls have."""
        return self

    def snapshot(self) -> ShedSnapshot:
        """Return the load and the totals."""
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
        return f"shed: of {self._capacity} running calls, rejects {shares}"


class _ShedPermit(Permit):
    """Permit of an admitted call, shared by all calls."""

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
    """Validate `shares` and fill in the omitted levels."""
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
