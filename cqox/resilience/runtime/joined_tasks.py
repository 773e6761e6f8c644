"""Detection of tasks and threads that a task inside a cancel scope awaits, although the scope does not cover them.

These are the children of `asyncio.gather` and `asyncio.TaskGroup`, tasks in which a library runs a call for the task
that awaits it (`run_for_awaiter`), and functions that a task runs in a thread pool of asyncio, AnyIO or Trio. A
deadline is advisory there. It is not in force in other tasks that its scope does not cover, such as one of
`asyncio.create_task` or of the app's own group, in a thread started by hand, or under a shield.

It relies on private names of these libraries; where one has changed, the code counts as not joined.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from cqox.resilience.runtime.event_loop import current_asyncio_task, running_asyncio_loop

__all__ = ["clock_of", "is_joined", "run_for_awaiter"]

# Search depth for gathered tasks that gather tasks.
_MOST_LEVELS = 16
_ERRORS = (AttributeError, KeyError, LookupError, TypeError, RuntimeError, ValueError)

_run_for_awaiter: WeakSet[Any] = WeakSet()


def run_for_awaiter() -> None:
    """Mark the running task of asyncio as one in which a library runs the call of the task that awaits it.

    Any other task that asyncio starts by itself counts as detached, even if it is awaited.
    """
    task = current_asyncio_task()
    assert task is not None
    _run_for_awaiter.add(task)


def is_joined(scope: object) -> bool:
    """Return whether a task inside `scope`, with no shield in between, awaits the running code.

    Args:
        scope: scope of AnyIO on asyncio, or of Trio; None for a deadline set in synchronous code.
    """
    with suppress(*_ERRORS):
        if running_asyncio_loop() is not None:
            task = current_asyncio_task()
            return task is not None and scope is not None and _is_awaited_in(scope, task, _MOST_LEVELS)
        return _is_in_pool_for(scope)
    return False


def clock_of(task: Any) -> Callable[[], float] | None:  # noqa: ANN401 - a task of asyncio or Trio
    """Return the clock of the scopes of `task`, readable from every thread; None where it is unknown."""
    with suppress(*_ERRORS):
        loop = getattr(task, "get_loop", None)
        clock: Callable[[], float] = loop().time if loop is not None else task._runner.clock.current_time
        return clock
    return None


def _is_in_pool_for(scope: object) -> bool:
    """Return whether this pool thread works for a task inside `scope`, as far as the pool exposes it."""
    trio = sys.modules.get("trio._threads")
    register = getattr(getattr(trio, "PARENT_TASK_DATA", None), "task_register", None)
    if register is not None:
        return register[0] is not None and _is_inside_on_trio(scope, register[0]._cancel_status)
    locals_of_anyio = getattr(sys.modules.get("anyio._core._eventloop"), "threadlocals", None)
    caller = getattr(locals_of_anyio, "current_cancel_scope", None)
    if caller is not None:
        return _is_within(scope, caller) or _host_is_awaited_in(scope, caller)
    # asyncio's own pool does not expose the task that it works for.
    target: object = getattr(threading.current_thread(), "_target", None)
    worker = getattr(sys.modules.get("concurrent.futures.thread"), "_worker", None)
    return target is not None and target is worker


def _is_inside_on_trio(scope: object, status: Any) -> bool:  # noqa: ANN401 - Trio's own
    while status is not None:
        if status._scope is scope:
            return True
        if status._scope.shield:
            return False
        status = status._parent
    return False


def _is_within(scope: object, inner: Any) -> bool:  # noqa: ANN401 - a scope of AnyIO on asyncio
    while inner is not None:
        if inner is scope:
            return True
        if inner.shield:
            return False
        inner = inner._parent_scope
    return False


def _host_is_awaited_in(scope: object, inner: Any) -> bool:  # noqa: ANN401 - a scope of AnyIO on asyncio
    # The scope with which AnyIO shields a thread from its caller does not belong to the caller.
    while inner._parent_scope is not None:
        if inner.shield:
            return False
        inner = inner._parent_scope
    return _is_awaited_in(scope, inner._host_task, _MOST_LEVELS)


def _is_awaited_in(scope: object, task: Any, levels: int) -> bool:  # noqa: ANN401 - a task of asyncio
    innermost = _scope_of(task)
    while innermost is not None and innermost._parent_scope is not None:
        if innermost.shield:
            return False
        innermost = innermost._parent_scope
    if innermost is not None:
        if innermost.shield:
            return False
        task = innermost._host_task
    return any(
        _is_within(scope, _scope_of(waiter)) or (levels > 0 and _is_awaited_in(scope, waiter, levels - 1))
        for waiter in _waiters_of(task)
    )


def _scope_of(task: object) -> Any:  # noqa: ANN401 - a scope of AnyIO, or None
    state = sys.modules["anyio._backends._asyncio"]._task_states.get(task)
    return None if state is None else state.cancel_scope


def _waiters_of(future: Any) -> Iterator[Any]:  # noqa: ANN401 - a future of asyncio
    """Yield the tasks that gather `future`, own it in a task group or await the call that it runs for them."""
    # A future of asyncio has imported it.
    asyncio: Any = sys.modules["asyncio"]
    gathers = isinstance(future, asyncio.tasks._GatheringFuture)
    is_call = future in _run_for_awaiter
    for callback, _ in future._callbacks or ():
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, asyncio.TaskGroup):
            yield getattr(owner, "_parent_task")  # noqa: B009 - it has no public name
        elif (gathers or is_call) and isinstance(owner, asyncio.Task):
            yield owner
        elif owner is None:
            for cell in getattr(callback, "__closure__", None) or ():
                with suppress(ValueError):
                    if isinstance(cell.cell_contents, asyncio.tasks._GatheringFuture):
                        yield from _waiters_of(cell.cell_contents)
