"""The event loop of the running code, behind one interface for asyncio and Trio.

Both are looked up in `sys.modules` and never imported: an app of one of them does without the other, and importing the
library is quick. On Trio its native scopes are used, as AnyIO's cost more.
"""

import math
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, cast

from anyio.lowlevel import current_token

from cqox.resilience.runtime.scope_ids import AnyioScopeId, ScopeId, TrioScopeId, run_context_of

__all__ = [
    "AsyncioLoop",
    "CancelScope",
    "EventLoop",
    "current_asyncio_task",
    "current_loop",
    "current_place",
    "natural_time",
    "running_asyncio_loop",
    "task_or_loop",
]


class AsyncioLoop(Protocol):
    """Interface of a loop of asyncio."""

    def time(self) -> float:
        """Return the time of the loop."""
        ...


class CancelScope(Protocol):
    """Interface of a cancel scope of either loop."""

    @property
    def deadline(self) -> float:
        """Time at which it cancels its block, in the loop's time."""
        ...

    @deadline.setter
    def deadline(self, value: float, /) -> None: ...

    @property
    def cancel_called(self) -> bool:
        """True once it has started to cancel its block."""
        ...

    @property
    def cancelled_caught(self) -> bool:
        """True once its cancellation has ended the block."""
        ...

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool | None: ...


class EventLoop(Protocol):
    """Interface of the event loop that runs the current task."""

    def time(self) -> float:
        """Return the time that scopes use."""
        ...

    def new_scope(self, *, deadline: float) -> CancelScope:
        """Create a scope that cancels its block at `deadline`, in the loop's time."""
        ...

    def effective_deadline(self) -> float:
        """Return the earliest deadline of the scopes around the current task, in the loop's time.

        It is infinite without one, and minus infinity where a scope has been cancelled.
        """
        ...

    def task(self) -> object:
        """Return the current task."""
        ...

    def groups_of(self, task: object) -> tuple[object, ...]:
        """Return the task groups that the current task has open, as far as the loop exposes them."""
        ...

    def scope_id_of(self, task: object) -> ScopeId | None:
        """Return an identifier of the innermost scope of `task`, the current task; None where it is not exposed.

        It relies on private names of both libraries, only to save the half microsecond that `will_cancel_by` takes;
        without them every result is computed.
        """
        ...

    def scope_of(self, mark: ScopeId) -> object:
        """Return the scope that `mark` identifies, None where it is not exposed."""
        ...

    def id_of(self, scope: CancelScope, task: object) -> ScopeId | None:
        """Return the identifier of `scope`, which `task` has opened, as `scope_id_of` would directly inside of it."""
        ...

    def will_cancel_by(self, at: float, task: object, groups: tuple[object, ...], mark: ScopeId | None) -> bool:
        """Return whether a scope that `task` opened certainly cancels the current task by `at`.

        Args:
            at: in the loop's time.
            task: the task that opened the scope.
            groups: task groups that were open around the scope, whose tasks run outside of it.
            mark: identifier of the scope.
        """
        ...


class _AsyncioEventLoop:
    """asyncio with AnyIO's scopes. A task not started by AnyIO counts as detached, as its scopes are unknown."""

    __slots__ = ("_states", "effective_deadline", "new_scope", "task")

    def __init__(self) -> None:
        # The functions of `anyio` look up the backend on each call, which costs more than the function itself.
        backend = current_token().backend_class
        self.effective_deadline = backend.current_effective_deadline
        self.new_scope: Callable[..., CancelScope] = backend.create_cancel_scope
        self._states: Mapping[object, Any] = getattr(sys.modules[backend.__module__], "_task_states", {})
        self.task: Callable[..., object] = _current_task

    def time(self) -> float:
        return cast("float", _asyncio.get_running_loop().time())

    def groups_of(self, task: object) -> tuple[object, ...]:
        return ()

    def scope_id_of(self, task: object) -> ScopeId | None:
        try:
            state = self._states[task]
            return AnyioScopeId(state, state.cancel_scope, task, _current_task)
        except (KeyError, AttributeError):
            return None

    def will_cancel_by(self, at: float, task: object, groups: tuple[object, ...], mark: ScopeId | None) -> bool:
        try:
            current = _current_task()
        except RuntimeError:
            return False
        if current is task:
            if mark is not None and mark.is_innermost():
                return True
            return self.effective_deadline() <= at
        if current is None:
            return False
        # An earlier deadline does not identify its scope: only an equal deadline, or a walk up the scopes, is proof.
        if self.effective_deadline() in (at, -math.inf):
            return True
        return mark is not None and self._is_inside(current, self.scope_of(mark))

    def id_of(self, scope: CancelScope, task: object) -> ScopeId | None:
        state = self._states.get(task)
        return None if getattr(state, "cancel_scope", None) is None else AnyioScopeId(state, scope, task, _current_task)

    def scope_of(self, mark: ScopeId) -> object:
        return mark.kept

    def _is_inside(self, task: object, scope: object) -> bool:
        """Return whether the innermost scope of `task` is inside `scope`, with no shield in between."""
        try:
            inner = self._states[task].cancel_scope
            while inner is not None and inner is not scope and not inner.shield:
                inner = inner._parent_scope
        except (KeyError, AttributeError):
            return False
        return inner is scope


class _TrioEventLoop:
    __slots__ = (
        "_current_clock",
        "_system_clock",
        "effective_deadline",
        "in_task",
        "new_scope",
        "run_context",
        "task",
        "time",
    )

    def __init__(self, trio: Any) -> None:  # noqa: ANN401 - the module is not importable here, so it has no type
        self.new_scope: Callable[..., CancelScope] = trio.CancelScope
        self._current_clock: Callable[[], object] = trio.lowlevel.current_clock
        self.task = trio.lowlevel.current_task
        self.run_context = run_context_of(trio)
        self._system_clock: type[object] | None = None
        self.effective_deadline = trio.current_effective_deadline
        self.in_task = trio.lowlevel.in_trio_task
        self.time = trio.current_time

    def natural_time(self) -> Callable[[], float]:
        """Return the default time source of its tasks."""
        clock: object = self._current_clock()
        kind = type(clock)
        if kind is self._system_clock:
            return time.monotonic
        # The system's clock has no public class: it is the one of Trio's own that is not for tests.
        if kind.__module__.partition(".")[0] == "trio" and not kind.__module__.startswith("trio.testing"):
            self._system_clock = kind
            return time.monotonic
        return cast("Callable[[], float]", cast("Any", clock).current_time)

    def groups_of(self, task: Any) -> tuple[object, ...]:  # noqa: ANN401 - a task of Trio
        nurseries = task.child_nurseries
        return tuple(nurseries) if nurseries else ()

    def scope_id_of(self, task: object) -> ScopeId | None:
        status = getattr(task, "_cancel_status", None)
        return None if status is None else TrioScopeId(task, status, self.run_context)

    def id_of(self, scope: CancelScope, task: object) -> ScopeId | None:
        # Both have a status, under names that may change one by one.
        status = getattr(scope, "_cancel_status", None)
        known = status is not None and self.scope_id_of(task) is not None
        return TrioScopeId(task, status, self.run_context) if known else None

    def scope_of(self, mark: ScopeId) -> object:
        return getattr(mark.kept, "_scope", None)

    def will_cancel_by(self, at: float, task: object, groups: tuple[object, ...], mark: ScopeId | None) -> bool:
        try:
            current = self.task()
        except RuntimeError:
            return False
        if current is task and mark is not None and mark.is_innermost():
            return True
        if self.effective_deadline() > at:
            return False
        while current is not task:
            nursery = current.parent_nursery
            if nursery is None or nursery in groups:
                return False
            current = nursery.parent_task
        return True


class _Unloaded:
    """Stand-in for `asyncio` until something else has imported it: then no loop runs, and no task."""

    def _get_running_loop(self) -> AsyncioLoop | None:
        return cast("AsyncioLoop | None", _asyncio._get_running_loop()) if _find_asyncio() else None

    def current_task(self) -> object:
        return _current_task() if _find_asyncio() else None


def _find_asyncio() -> bool:
    """Replace the stand-in by `asyncio`, once that is imported; return whether it is."""
    global _asyncio, _current_task
    found = sys.modules.get("asyncio")
    # While another thread is importing it, it lacks what is imported last.
    if found is None or not (hasattr(found, "_get_running_loop") and hasattr(found, "current_task")):
        return False
    _asyncio, _current_task = found, found.current_task
    return True


_asyncio: Any = _Unloaded()
_current_task: Callable[[], object] = _asyncio.current_task
_asyncio_loop: _AsyncioEventLoop | None = None
_trio_loop: _TrioEventLoop | None = None


def current_loop() -> EventLoop | None:
    """Return the event loop that runs this task; None outside of a task."""
    global _asyncio_loop
    # A Trio run may be a guest on a running asyncio loop, whose callbacks belong to no task of that loop.
    if _asyncio._get_running_loop() is not None and _current_task() is not None:
        if _asyncio_loop is None:
            _asyncio_loop = _AsyncioEventLoop()
        return _asyncio_loop
    if _trio_loop is not None:
        return _trio_loop if _trio_loop.in_task() else None
    return _running_trio()


def current_place() -> tuple[EventLoop | None, object, tuple[object, ...]]:
    """Return the event loop that runs this task, the task, and its open groups: at less cost than one by one."""
    # Otherwise `current_loop` looks again.
    if _trio_loop is not None and (_asyncio._get_running_loop() is None or _current_task() is None):
        try:
            task = _trio_loop.run_context.task
        except (AttributeError, RuntimeError):
            return None, None, ()
        try:
            groups = task._child_nurseries
        except AttributeError:
            groups = task.child_nurseries  # which copies the list
        return _trio_loop, task, tuple(groups) if groups else ()
    loop = current_loop()
    return (None, None, ()) if loop is None else (loop, task := loop.task(), loop.groups_of(task))


def _running_trio() -> _TrioEventLoop | None:
    global _trio_loop
    if _trio_loop is None:
        trio = sys.modules.get("trio")
        if trio is None or not hasattr(trio, "lowlevel"):
            return None
        _trio_loop = _TrioEventLoop(trio)
    return _trio_loop if _trio_loop.in_task() else None


def natural_time() -> Callable[[], float]:
    """Return the default time source here: the simulated clock in effect for this task, else the system's."""
    running = _asyncio._get_running_loop()
    # The task, if any, is one of Trio's where a Trio run is a guest on this loop.
    if (running is None or _current_task() is None) and (
        _running_trio() is not None if _trio_loop is None else _trio_loop.in_task()
    ):
        assert _trio_loop is not None
        return _trio_loop.natural_time()
    if running is not None and getattr(running, "virtual_time", False):
        return cast("Callable[[], float]", running.time)
    return time.monotonic


def task_or_loop() -> object:
    """Return the current task, else the loop whose callback is running, else None."""
    loop = current_loop()
    return running_asyncio_loop() if loop is None else loop.task()


def running_asyncio_loop() -> AsyncioLoop | None:
    """Return the loop of asyncio that runs on this thread, be it in a task or in a callback."""
    return cast("AsyncioLoop | None", _asyncio._get_running_loop())


def current_asyncio_task() -> object:
    """Return the task of asyncio that runs; None in a callback.

    Raises:
        RuntimeError: no loop of asyncio runs on this thread, although asyncio is imported.
    """
    return _current_task()
