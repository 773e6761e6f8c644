"""The answers to the requests of the load, and what they are in each second."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Records", "Second", "Sent", "quantile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request and its answer.

    Attributes:
        kind: a name of `MIX`.
        begin: seconds since the load began.
        seconds: until the answer was complete, or it was given up.
        status: HTTP status; 0 without a complete answer.
        problem: the `type` of a problem, or the kind of the error without an answer.
        is_good: whether the client has what it wanted.
        deadline: seconds that the request allowed.
        in_contract: whether the status is one that the interface promises for the request.
    """

    kind: str
    begin: float
    seconds: float
    status: int
    problem: str = ""
    is_good: bool
    deadline: float
    in_contract: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """The requests that began in one second.

    Attributes:
        sent: their number.
        good: number of good answers.
        failures: number of the others by status.
        median: median of the latencies of good answers in seconds; None without one.
        slowest: the longest of them.
    """

    sent: int
    good: int
    failures: dict[int, int]
    median: float | None
    slowest: float | None


@dataclass(eq=False)
class Records:
    """Everything that was sent so far.

    Attributes:
        done: answered or given up.
        pending: begins of the requests that wait for an answer, by a number.
    """

    done: list[Sent] = field(default_factory=list)
    pending: dict[int, float] = field(default_factory=dict)

    def between(self, begin: float, end: float, kind: str | None = None) -> list[Sent]:
        """Return what began in an interval, of one kind or of all."""
        return [each for each in self.done if begin <= each.begin < end and kind in (None, each.kind)]

    def last_failure(self, since: float, now: float, patience: float) -> float | None:
        """Return the begin of the last request since then that failed, or waits for longer than `patience` seconds."""
        failed = [each.begin for each in self.done if each.begin >= since and not each.is_good]
        failed += [begin for begin in self.pending.values() if begin >= since and now - begin > patience]
        return max(failed, default=None)

    def by_second(self, end: float) -> list[Second]:
        """Return one entry for each second until then."""
        rows: list[list[Sent]] = [[] for _ in range(int(end) + 1)]
        for each in self.done:
            if 0 <= each.begin < len(rows):
                rows[int(each.begin)].append(each)
        return [_second(row) for row in rows]


def _second(row: Sequence[Sent]) -> Second:
    good = [each.seconds for each in row if each.is_good]
    return Second(
        sent=len(row),
        good=len(good),
        failures=dict(sorted(Counter(each.status for each in row if not each.is_good).items())),
        median=quantile(good, 0.5),
        slowest=max(good, default=None),
    )


def quantile(values: Iterable[float], share: float) -> float | None:
    """Return the smallest value that at least that share of the values do not exceed; None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]
