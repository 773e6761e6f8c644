"""Task groups: inherited context, observers, and no leaked tasks."""

import gc
import logging
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskStatus

from cqox import tasks
from cqox.tasks import TaskOutcome, TaskStart, bind_to_group, observe_tasks, open_task_group

pytestmark = pytest.mark.anyio

ordinary: ContextVar[str] = ContextVar("ordinary", default="unset")
scoped: ContextVar[str | None] = bind_to_group(ContextVar("scoped", default=None), None)


class Recorder:
    """Recorder of observer callbacks, in order."""

    def __init__(self) -> None:
        self.started: list[TaskStart] = []
        self.ended: list[tuple[str, TaskOutcome, BaseException | None]] = []

    def __call__(self, task: TaskStart) -> Callable[[TaskOutcome, BaseException | None], None]:
        self.started.append(task)
        return lambda outcome, error: self.ended.append((task.name, outcome, error))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    previous = observe_tasks(recorder)
    yield recorder
    observe_tasks(previous)


async def run_together(*jobs: Callable[[], Coroutine[Any, Any, object]]) -> None:
    async with open_task_group() as group:
        for job in jobs:
            group.start_soon(job)


async def ready_after_a_step(value: int, *, task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
    await anyio.lowlevel.checkpoint()
    task_status.started(value)
    await anyio.sleep_forever()


async def test_leaving_the_block_waits_for_every_task() -> None:
    done: list[int] = []

    async def job(number: int) -> None:
        for _ in range(number):
            await anyio.lowlevel.checkpoint()
        done.append(number)

    async with open_task_group() as group:
        for number in (3, 1, 2):
            group.start_soon(job, number)
    assert sorted(done) == [1, 2, 3]


async def test_the_first_failure_cancels_the_others_and_leaves_in_a_group() -> None:
    cancelled: list[str] = []

    async def patient() -> None:
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            cancelled.append(type(error).__name__)
            raise

    async def broken() -> None:
        await anyio.lowlevel.checkpoint()
        raise ZeroDivisionError("mine")

    with pytest.raises(ExceptionGroup) as caught:
        await run_together(patient, broken)
    assert [str(error) for error in caught.value.exceptions] == ["mine"]
    assert len(cancelled) == 1


async def test_start_returns_what_the_task_said_it_started_with() -> None:
    async with open_task_group() as group:
        assert await group.start(ready_after_a_step, 7) == 7
        group.cancel_scope.cancel()


async def test_start_says_so_when_the_task_never_started() -> None:
    async def silent(*, task_status: TaskStatus[None]) -> None:
        await anyio.lowlevel.checkpoint()

    async with open_task_group() as group:
        with pytest.raises(RuntimeError):
            await group.start(silent)


async def test_a_start_that_is_cancelled_while_it_waits_leaves_no_task_behind(recorder: Recorder) -> None:
    async def never_ready(*, task_status: TaskStatus[None]) -> None:
        await anyio.sleep_forever()

    async with open_task_group() as group:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await group.start(never_ready)
        assert scope.cancelled_caught
    assert [outcome for _, outcome, _ in recorder.ended] in ([], [TaskOutcome.CANCELLED])


async def test_cancelling_the_scope_cancels_every_task_and_is_no_failure(recorder: Recorder) -> None:
    async with open_task_group() as group:
        group.start_soon(anyio.sleep_forever, name="first")
        group.start_soon(anyio.sleep_forever, name="second")
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert sorted((name, outcome) for name, outcome, _ in recorder.ended) == [
        ("first", TaskOutcome.CANCELLED),
        ("second", TaskOutcome.CANCELLED),
    ]


async def test_a_group_of_nothing_but_cancellations_counts_as_cancelled(recorder: Recorder) -> None:
    async def outer() -> None:
        async with open_task_group("inner") as inner:
            inner.start_soon(anyio.sleep_forever, name="leaf")
            await anyio.sleep_forever()

    async with open_task_group() as group:
        group.start_soon(outer, name="outer")
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert {name: outcome for name, outcome, _ in recorder.ended} == {
        "leaf": TaskOutcome.CANCELLED,
        "outer": TaskOutcome.CANCELLED,
    }


async def test_a_failure_among_cancellations_is_a_failure(recorder: Recorder) -> None:
    async def fails_when_cancelled() -> None:
        try:
            await anyio.sleep_forever()
        except BaseException as cancelled:
            raise BaseExceptionGroup("both", [cancelled, ValueError("mine")]) from None

    async def cancelled_while_it_runs() -> None:
        async with open_task_group() as group:
            group.start_soon(fails_when_cancelled)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    with pytest.raises(BaseExceptionGroup):
        await cancelled_while_it_runs()
    assert [outcome for _, outcome, _ in recorder.ended] == [TaskOutcome.FAILED]


async def test_an_observer_hears_of_success_and_failure_with_the_very_exception(recorder: Recorder) -> None:
    mine = ValueError("mine")

    async def fine() -> None: ...

    async def broken() -> None:
        raise mine

    async with open_task_group("ok") as group:
        group.start_soon(fine, name="fine")
    with pytest.raises(ExceptionGroup):
        async with open_task_group("not ok") as group:
            group.start_soon(broken, name="broken")
    assert recorder.ended == [("fine", TaskOutcome.SUCCEEDED, None), ("broken", TaskOutcome.FAILED, mine)]
    assert [(task.name, task.group, task.detached) for task in recorder.started] == [
        ("fine", "ok", False),
        ("broken", "not ok", False),
    ]


async def test_an_observer_hears_of_a_task_that_was_awaited_to_start(recorder: Recorder) -> None:
    async with open_task_group() as group:
        await group.start(ready_after_a_step, 1, name="server")
        group.cancel_scope.cancel()
    assert recorder.started[0].name == "server"
    assert recorder.ended[0][:2] == ("server", TaskOutcome.CANCELLED)


async def test_a_task_without_a_name_is_named_after_its_function(recorder: Recorder) -> None:
    async def job() -> None: ...

    async with open_task_group() as group:
        group.start_soon(job)
    assert recorder.started[0].name == f"{__name__}.test_a_task_without_a_name_is_named_after_its_function.<locals>.job"


async def test_an_observer_that_raises_is_logged_and_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def at_the_end(outcome: TaskOutcome, error: BaseException | None) -> None:
        raise RuntimeError("end")

    def at_the_start(task: TaskStart) -> Callable[[TaskOutcome, BaseException | None], None]:
        if task.name == "one":
            raise RuntimeError("start")
        return at_the_end

    done: list[str] = []

    async def job(name: str) -> None:
        done.append(name)

    previous = observe_tasks(at_the_start)
    try:
        with caplog.at_level(logging.ERROR, logger="cqox.tasks"):
            async with open_task_group() as group:
                group.start_soon(job, "one", name="one")
                group.start_soon(job, "two", name="two")
    finally:
        observe_tasks(previous)
    assert sorted(done) == ["one", "two"]
    assert len(caplog.records) == 2


async def test_an_observer_runs_in_the_task_and_sees_the_values_of_the_starter() -> None:
    seen: list[str] = []

    def observer(task: TaskStart) -> Callable[[TaskOutcome, BaseException | None], None]:
        seen.append(ordinary.get())
        ordinary.set("span of the task")
        return lambda outcome, error: None

    async def job() -> None:
        seen.append(ordinary.get())

    previous = observe_tasks(observer)
    try:
        async with open_task_group() as group:
            ordinary.set("span of the starter")
            group.start_soon(job)
        seen.append(ordinary.get())
    finally:
        observe_tasks(previous)
    assert seen == ["span of the starter", "span of the task", "span of the starter"]


async def test_an_empty_slot_adds_no_frame_to_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*args: object) -> None:
        raise AssertionError("wrapped although nobody watches")

    monkeypatch.setattr(tasks, "_run", refuse)
    async with open_task_group() as group:
        group.start_soon(anyio.sleep, 0)
        await group.start(ready_after_a_step, 1)
        group.cancel_scope.cancel()


async def read_both(found: list[tuple[str, str | None]]) -> None:
    found.append((ordinary.get(), scoped.get()))


async def test_a_task_in_the_group_of_the_app_loses_what_is_bound_to_the_scope_of_the_request() -> None:
    found: list[tuple[str, str | None]] = []
    async with open_task_group("app") as app:

        async def request() -> None:
            ordinary.set("of the request")
            scoped.set("of the request")
            app.start_soon(read_both, found)

        async with open_task_group("server") as server:
            server.start_soon(request)
    assert found == [("of the request", None)]


async def test_a_task_keeps_what_was_bound_when_its_own_group_was_opened() -> None:
    found: list[tuple[str, str | None]] = []
    scoped.set("outer")
    async with open_task_group() as group:
        group.start_soon(read_both, found)
        scoped.set("a scope that ends before the task does")
        group.start_soon(read_both, found)
    assert [value for _, value in found] == ["outer", "outer"]


async def test_awaiting_the_start_of_a_task_obeys_the_same_rule() -> None:
    found: list[str | None] = []

    async def server(*, task_status: TaskStatus[None]) -> None:
        found.append(scoped.get())
        task_status.started()

    async with open_task_group() as group:
        scoped.set("a scope that ends before the task does")
        await group.start(server)
    assert found == [None]


async def test_a_variable_bound_after_the_group_was_opened_falls_back_to_its_default() -> None:
    found: list[str | None] = []
    async with open_task_group() as group:
        late: ContextVar[str | None] = ContextVar("late", default=None)
        bind_to_group(late, None)
        late.set("of the starter")

        async def job() -> None:
            found.append(late.get())

        group.start_soon(job)
    assert found == [None]


async def test_only_a_task_started_from_another_group_is_detached(recorder: Recorder) -> None:
    async with open_task_group("app") as app:

        async def sibling() -> None:
            app.start_soon(anyio.sleep, 0, name="from a sibling")

        async def request() -> None:
            async with open_task_group("request"):
                app.start_soon(anyio.sleep, 0, name="from a request")

        app.start_soon(anyio.sleep, 0, name="from the opener")
        app.start_soon(sibling, name="sibling")
        app.start_soon(request, name="request")
    detached = {task.name for task in recorder.started if task.detached}
    assert detached == {"from a request"}


async def test_a_group_may_declare_all_its_tasks_detached(recorder: Recorder) -> None:
    async with open_task_group("jobs", detached=True) as jobs:
        jobs.start_soon(anyio.sleep, 0)
    assert [task.detached for task in recorder.started] == [True]


async def test_a_task_of_a_detached_group_is_no_stranger_to_its_own_group(recorder: Recorder) -> None:
    async with open_task_group("app") as app:

        async def job() -> None:
            app.start_soon(anyio.sleep, 0, name="grandchild")

        async with open_task_group("request"):
            app.start_soon(job, name="job")
    assert {task.name: task.detached for task in recorder.started} == {"job": True, "grandchild": False}


async def test_after_the_block_the_outer_group_is_the_innermost_again(recorder: Recorder) -> None:
    async with open_task_group("outer") as outer:
        async with open_task_group("inner"):
            pass
        outer.start_soon(anyio.sleep, 0)
    assert [task.detached for task in recorder.started] == [False]


async def test_a_group_that_is_not_open_starts_nothing() -> None:
    group = open_task_group()
    with pytest.raises(RuntimeError, match="not open"):
        group.start_soon(anyio.sleep, 0)


async def test_a_group_opens_only_once() -> None:
    group = open_task_group()
    async with group:
        pass
    with pytest.raises(RuntimeError, match="only once"):
        async with group:
            pass


class Held:
    """A context value with an observable lifetime."""


async def test_a_closed_group_holds_nothing_of_the_context_it_was_opened_in() -> None:
    variable: ContextVar[Held | None] = ContextVar("held", default=None)

    async def open_one() -> weakref.ref[Held]:
        held = Held()
        token = variable.set(held)
        async with open_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)
        variable.reset(token)
        assert group is not None
        return weakref.ref(held)

    gc.collect()
    gc.disable()
    try:
        gone = await open_one()
        assert gone() is None
    finally:
        gc.enable()
