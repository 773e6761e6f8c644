"""Task groups for asyncio and Trio: `open_task_group` is the only way to start a task.

The module has the group, the observer slot for telemetry, and the rule for context variables that a task inherits.
Deadlines (`cqox.resilience`) and spans (`cqox.telemetry`) build on it.

A task runs inside the cancel scope of its group, wherever it was started. So properties of a scope, such as the ambient
deadline, must come from the context in which the group was opened, not from the caller: a job that a request starts in
the app's group outlives the request, and the request's deadline never cancels it. A context variable passed to
`bind_to_group` follows this rule.
"""

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import anyio

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

__all__ = [
    "TaskEnd",
    "TaskGroup",
    "TaskObserver",
    "TaskOutcome",
    "TaskStart",
    "bind_to_group",
    "observe_tasks",
    "open_task_group",
]


class TaskOutcome(StrEnum):
    """Outcome of a task."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStart:
    """A task that is about to run its first step.

    Attributes:
        name: the given name, else module and qualified name of the function.
        group: name of the group it runs in, empty where the group has none.
        detached: True where the task may outlive its caller. A trace then links to the caller's span instead of
            making it the parent.
    """

    name: str
    group: str
    detached: bool


type TaskEnd = Callable[[TaskOutcome, BaseException | None], None]
"""Callback for the end of a task, with its outcome and exception."""


class TaskObserver(Protocol):
    """Observer of tasks.

    It is called inside the new task: context variables that it sets are local to that task. Those that it reads, such
    as the current span, still have the caller's values.
    """

    def __call__(self, task: TaskStart, /) -> TaskEnd:
        """Return a callback for the end of `task`."""
        ...


_observer: TaskObserver | None = None
_innermost: ContextVar["TaskGroup | None"] = ContextVar("cqox_innermost_task_group", default=None)
_bound: list[tuple[ContextVar[Any], object]] = [(_innermost, None)]


def observe_tasks(observer: TaskObserver | None) -> TaskObserver | None:
    """Set the task observer, or remove it with None, for tasks that start from now on.

    An exception of the observer is logged and has no other effect.

    Returns:
        The previous observer.
    """
    global _observer
    previous, _observer = _observer, observer
    return previous


def bind_to_group[T](variable: ContextVar[T], default: T) -> ContextVar[T]:
    """Bind `variable` to task groups: a task inherits its value from where the group was opened, not from its caller.

    Args:
        variable: the context variable.
        default: its value where none was set when the group was opened.

    Returns:
        `variable`, so that its definition can be wrapped.
    """
    _bound.append((variable, default))
    return variable


class TaskGroup:
    """A group of tasks that end before its block does; created by `open_task_group`."""

    __slots__ = ("_detached", "_entered", "_group", "_opened_in", "_outer", "name")

    def __init__(self, name: str, *, detached: bool) -> None:
        self.name = name
        self._detached = detached
        self._group = anyio.create_task_group()
        self._entered = False
        self._opened_in: Context | None = None
        self._outer: TaskGroup | None = None

    @property
    def cancel_scope(self) -> "anyio.CancelScope":
        """The scope that holds every task of the group."""
        return self._group.cancel_scope

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a task group can be opened only once")
        self._entered = True
        await self._group.__aenter__()
        self._outer = _innermost.get()
        _innermost.set(self)
        self._opened_in = copy_context()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        # No token: a test fixture may close the group in another copy of the context.
        _innermost.set(self._outer)
        try:
            return await self._group.__aexit__(exc_type, exc, traceback)
        finally:
            # The context references the group: break the cycle, which would keep all values of the context alive.
            self._opened_in = self._outer = None

    def start_soon[*Args](
        self, func: Callable[[*Args], Coroutine[Any, Any, object]], *args: *Args, name: str | None = None
    ) -> None:
        """Start `func(*args)` as a task and return at once.

        Args:
            func: a coroutine function.
            args: its arguments.
            name: name of the task, for tracebacks and traces.

        Raises:
            RuntimeError: the group is not open.
        """
        name = name or _name_of(func)
        values, observer = self._differing_values(), _observer
        if observer is None and not values:
            self._group.start_soon(func, *args, name=name)
            return
        task = TaskStart(name=name, group=self.name, detached=self._is_detached())

        async def run() -> None:
            await _run(lambda: func(*args), task, values, observer)

        self._group.start_soon(run, name=name)

    async def start(
        self, func: Callable[..., Coroutine[Any, Any, object]], *args: object, name: str | None = None
    ) -> object:
        """Start `func(*args, task_status=...)` and wait until it calls `task_status.started(value)`.

        A cancellation of this call while it waits cancels the new task; once it has started, the group owns it.

        Returns:
            The value passed to `started`.

        Raises:
            RuntimeError: the group is not open, or the task ended without calling `started`.
        """
        name = name or _name_of(func)
        values, observer = self._differing_values(), _observer
        if observer is None and not values:
            return cast("object", await self._group.start(func, *args, name=name))
        task = TaskStart(name=name, group=self.name, detached=self._is_detached())

        async def run(*, task_status: "TaskStatus[object]") -> None:
            await _run(lambda: func(*args, task_status=task_status), task, values, observer)

        return cast("object", await self._group.start(run, name=name))

    def _is_detached(self) -> bool:
        return self._detached or _innermost.get() is not self

    def _differing_values(self) -> tuple[tuple[ContextVar[Any], object], ...]:
        """Return the bound variables that differ between caller and group, with the group's values."""
        opened_in = self._opened_in
        if opened_in is None:
            raise RuntimeError("this task group is not open: use it as `async with open_task_group() as group:`")
        return tuple(
            (variable, value)
            for variable, default in _bound
            if (value := opened_in.get(variable, default)) is not variable.get(default)
        )


def open_task_group(name: str = "", *, detached: bool = False) -> TaskGroup:
    """Open a task group: `async with open_task_group() as group:`.

    Leaving the block waits for every task. The first task that fails cancels the others, and its exception leaves the
    block in an `ExceptionGroup`. A cancellation of the block cancels and awaits every task before it goes on.

    Args:
        name: name of the group, for traces.
        detached: True for a group that lives as long as the app. Its tasks outlive the request that started them, so
            their spans are linked to it instead of being its children. A task started from inside another group, opened
            later, always counts as detached.
    """
    return TaskGroup(name, detached=detached)


async def _run(
    call: Callable[[], Awaitable[object]],
    task: TaskStart,
    values: tuple[tuple[ContextVar[Any], object], ...],
    observer: TaskObserver | None,
) -> None:
    for variable, value in values:
        variable.set(value)
    ended = _begin(observer, task)
    try:
        await call()
    except BaseException as error:
        _end(ended, TaskOutcome.CANCELLED if _is_cancellation(error) else TaskOutcome.FAILED, error)
        raise
    _end(ended, TaskOutcome.SUCCEEDED, None)


def _begin(observer: TaskObserver | None, task: TaskStart) -> TaskEnd | None:
    if observer is None:
        return None
    try:
        return observer(task)
    except Exception:  # noqa: BLE001 - an observer must not break a task
        _log_failure("the task observer failed at the start of %s", task.name)
        return None


def _end(ended: TaskEnd | None, outcome: TaskOutcome, error: BaseException | None) -> None:
    if ended is None:
        return
    try:
        ended(outcome, error)
    except Exception:  # noqa: BLE001 - an observer must not break a task
        _log_failure("the task observer failed at the end of a task")


def _log_failure(message: str, *args: str) -> None:
    # Imported where it is needed: it takes longer to import than this module.
    import logging

    logging.getLogger("cqox.tasks").exception(message, *args)


def _is_cancellation(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_cancellation, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    return isinstance(error, anyio.get_cancelled_exc_class())


def _name_of(func: object) -> str:
    inner = getattr(func, "func", func)
    qualname = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{getattr(inner, '__module__', '')}.{qualname}"
