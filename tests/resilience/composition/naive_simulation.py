"""Virtual time for the naive model: tasks are generators, and time is a heap of things to do.

A task yields a `Wait`: until a time or a signal. The end of one of its scopes throws `Stopped` into it.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

type Steps = Generator["Wait", None, object]
type OnEnd = Callable[[object, BaseException | None], None]


@dataclass(eq=False)
class Scope:
    """A time at which what is inside of it is cancelled.

    Attributes:
        at: that time.
        announced: True where `remaining()` knows of it; False for a cancellation that comes as a surprise.
        began: when it was opened.
    """

    at: float
    announced: bool = True
    began: float = 0.0


class Stopped(BaseException):
    """The cancellation of everything inside of a scope."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self.scope = scope


@dataclass(eq=False)
class Signal:
    """Something that one task waits for."""

    fired: bool = False
    waiter: "tuple[Task, int] | None" = None


@dataclass
class Wait:
    until: float = math.inf
    signal: Signal | None = None


@dataclass(eq=False)
class Task:
    """A running generator, the scopes that it has opened, and what to do when it ends."""

    steps: Steps
    scopes: list[Scope]
    on_end: OnEnd
    resumed: int = 0
    ended: bool = False


_SAME_SECONDS = 1e-6


@dataclass
class Simulation:
    """The tasks and the time.

    Attributes:
        now: the time.
        coincided: whether something happened whose order nobody promises. The timers of two tasks went off at the same
            time: two calls that a freed place has started at once pause for the same time, for example. Or two calls
            were woken at the same time, such as in the queues of an outer and an inner limit, or one by an attempt of
            a hedge that was cancelled in favour of the one that has answered.
    """

    now: float = 0.0
    coincided: bool = False
    _last: "tuple[float, Task] | None" = None
    _woken: float = -math.inf
    _stopping: bool = False
    _heap: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    def at(self, time: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (time, next(self._order), action))

    def run(self) -> None:
        while self._heap:
            time, _, action = heapq.heappop(self._heap)
            self.now = max(self.now, time)
            action()

    def spawn(self, steps: Steps, scopes: list[Scope], on_end: OnEnd) -> Task:
        """Start a task and run it until it waits."""
        task = Task(steps, scopes, on_end)
        self._resume(task, None)
        return task

    def stop(self, task: Task, scope: Scope) -> None:
        """Cancel a task; the model's tasks wait for nothing while they clean up."""
        if not task.ended:
            before, self._stopping = self._stopping, True
            self._resume(task, Stopped(scope))
            self._stopping = before
            assert task.ended

    def fire(self, signal: Signal) -> None:
        """Wake the task that waits for `signal`, now or when it comes to wait."""
        if signal.fired:
            return
        signal.fired = True
        if signal.waiter is not None:
            self.coincided |= self._stopping or self.now - self._woken < _SAME_SECONDS
            self._woken = self.now
            task, resumed = signal.waiter
            self.at(self.now, lambda: self._resume_if(task, resumed, None))

    def _end_wait(self, task: Task, resumed: int, error: BaseException | None) -> None:
        if task.ended or task.resumed != resumed:
            return
        if self._last is not None:
            before, other = self._last
            self.coincided |= other is not task and self.now - before < _SAME_SECONDS
        self._last = self.now, task
        self._resume(task, error)

    def _resume_if(self, task: Task, resumed: int, error: BaseException | None) -> None:
        if not task.ended and task.resumed == resumed:
            self._resume(task, error)

    def _resume(self, task: Task, error: BaseException | None) -> None:
        task.resumed += 1
        try:
            wait = next(task.steps) if error is None else task.steps.throw(error)
        except StopIteration as end:
            task.ended = True
            task.on_end(end.value, None)
            return
        except BaseException as failure:
            task.ended = True
            task.on_end(None, failure)
            return
        self._park(task, wait)

    def _park(self, task: Task, wait: Wait) -> None:
        resumed = task.resumed
        first = min(task.scopes, key=lambda scope: scope.at, default=None)
        if first is not None and first.at < math.inf:
            self.at(first.at, lambda: self._end_wait(task, resumed, Stopped(first)))
        if wait.until < math.inf:
            self.at(wait.until, lambda: self._end_wait(task, resumed, None))
        if wait.signal is not None:
            wait.signal.waiter = (task, resumed)
            if wait.signal.fired:
                self.at(self.now, lambda: self._resume_if(task, resumed, None))
