"""A call as the naive model sees it: its scopes, the time that its callee was at work, and what its parts raise."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.resilience.composition.naive_simulation import Scope, Simulation, Steps, Wait
from tests.resilience.composition.scripted_calls import CallScript


class Failed(Exception):
    """An exception of the callee or of a part.

    Attributes:
        kind: the name of its class.
        rejection: True where a part refused the call.
        before_call: True for a timeout that queues used up.
    """

    def __init__(self, kind: str, *, rejection: bool = False, before_call: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.rejection = rejection
        self.before_call = before_call


@dataclass(eq=False)
class Call:
    """One call, or one attempt of a hedge inside of it, as its parts see it."""

    script: CallScript
    sim: Simulation
    timeouts: tuple[float, ...]
    scopes: list[Scope] = field(default_factory=list)
    outer: "Call | None" = None
    starts: list[float] = field(default_factory=list)
    work: list[list[float]] = field(default_factory=list)
    waits: list[list[float]] = field(default_factory=list)
    admissions: list[Any] = field(default_factory=list)
    ended: bool = False

    def child(self) -> "Call":
        return Call(self.script, self.sim, self.timeouts, [], self, self.starts, [], [], list(self.admissions))

    def announced(self) -> list[Scope]:
        further = [] if self.outer is None else self.outer.announced()
        return further + [scope for scope in self.scopes if scope.announced]

    def remaining(self) -> float:
        return max(min((scope.at for scope in self.announced()), default=math.inf) - self.sim.now, 0.0)

    def unexpired(self) -> None:
        if self.remaining() <= 0:
            raise Failed("DeadlineExceeded", before_call=True)

    def waiting(self, wait: Wait) -> Steps:
        """Wait in a queue or pause of our own, which is noted."""
        span = [self.sim.now, math.inf]
        self.note("waits", span)
        try:
            yield wait
        finally:
            span[1] = self.sim.now
        return None

    def note(self, name: str, span: list[float]) -> None:
        getattr(self, name).append(span)
        if self.outer is not None:
            self.outer.note(name, span)

    def seconds(self, name: str, since: float) -> float:
        """Return the time since `since` in which the callee was at work, or the call in a queue or a pause."""
        total, reached = 0.0, since
        for began, ended in sorted(getattr(self, name)):
            until = min(ended, self.sim.now)
            total += max(0.0, until - max(began, reached))
            reached = max(reached, until)
        return total

    def had_fair_share(self, since: float) -> bool:
        share = min(min(self.timeouts, default=math.inf) / 2, 1.0)
        return self.seconds("work", since) >= share


type Inner = Callable[[Call], Steps]


class Part:
    """One part: a generator around the next one."""

    def around(self, call: Call, inner: Inner) -> Steps:
        raise NotImplementedError
