"""Figures that are finished although their requests have left, with renderings that end on command."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio
import pytest

from cqox.analysis.rendering import Pictures, Rendering
from cqox.analysis.workers import Reply
from cqox.errors import StorageFull, WorkerLost
from cqox.storage import DEFAULT_TENANT, DataDirectory, TenantFiles
from cqox.tasks import TaskGroup, open_task_group
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio
KEY = f"{7:032x}"


class Renderer:
    """Counts its runs, and ends each one on command."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.runs = 0
        self.cancelled = 0
        self.begun = anyio.Event()
        self.finish = anyio.Event()
        self.failure = failure

    async def __call__(self) -> bytes:
        self.runs += 1
        self.begun.set()
        try:
            await self.finish.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return b"<svg/>"

    async def run(self, name: str, arguments: Mapping[str, object]) -> Reply:
        assert (name, arguments) == ("render", {"spec": {"title": "t"}, "format": "svg"})
        return Reply(body={}, payload=await self())


async def ask(
    requests: TaskGroup, rendering: Rendering, key: str, render: Renderer, answers: list[bytes] | None = None
) -> anyio.CancelScope:
    """Start a request that waits for a rendering; its scope is that of the request."""
    scope = anyio.CancelScope()

    async def request() -> None:
        with scope:
            answer = await rendering.join(key, render)
            if answers is not None:
                answers.append(answer)

    requests.start_soon(request)
    await anyio.wait_all_tasks_blocked()
    return scope


async def leave(scope: anyio.CancelScope) -> None:
    scope.cancel()
    await anyio.wait_all_tasks_blocked()


async def test_requests_for_the_same_figure_share_one_rendering() -> None:
    render, answers = Renderer(), list[bytes]()
    async with open_task_group() as app, open_task_group() as requests:
        rendering = Rendering(app)
        for _ in range(5):
            await ask(requests, rendering, "a", render, answers)
        render.finish.set()
    assert answers == [b"<svg/>"] * 5
    assert (render.runs, len(rendering)) == (1, 0)


async def test_a_rendering_whose_request_has_left_is_finished_and_answers_the_retry() -> None:
    render, answers = Renderer(), list[bytes]()
    async with open_task_group() as app, open_task_group() as requests:
        rendering = Rendering(app)
        await leave(await ask(requests, rendering, "a", render))
        await leave(await ask(requests, rendering, "a", render))
        await ask(requests, rendering, "a", render, answers)
        render.finish.set()
    assert answers == [b"<svg/>"]
    assert (render.runs, render.cancelled, len(rendering)) == (1, 0, 0)


async def test_a_second_rendering_without_a_waiter_is_cancelled_and_begins_again_when_it_is_asked_for() -> None:
    first, second, again, answers = Renderer(), Renderer(), Renderer(), list[bytes]()
    async with open_task_group() as app, open_task_group() as requests:
        rendering = Rendering(app)
        second_request = await ask(requests, rendering, "b", second)
        await leave(await ask(requests, rendering, "a", first))
        await leave(second_request)
        assert (first.cancelled, second.cancelled, len(rendering)) == (0, 1, 1)
        await ask(requests, rendering, "b", again, answers)
        first.finish.set()
        again.finish.set()
    assert (first.runs, first.cancelled, again.runs) == (1, 0, 1)
    assert answers == [b"<svg/>"]


async def test_once_a_request_has_come_back_another_rendering_may_be_left() -> None:
    first, second = Renderer(), Renderer()
    async with open_task_group() as app, open_task_group() as requests:
        rendering = Rendering(app)
        await leave(await ask(requests, rendering, "a", first))
        await ask(requests, rendering, "a", first)
        await leave(await ask(requests, rendering, "b", second))
        assert second.cancelled == 0
        first.finish.set()
        second.finish.set()
    assert (first.cancelled, second.cancelled, len(rendering)) == (0, 0, 0)


async def test_one_of_two_requests_may_leave() -> None:
    other, render, answers = Renderer(), Renderer(), list[bytes]()
    async with open_task_group() as app, open_task_group() as requests:
        rendering = Rendering(app)
        await leave(await ask(requests, rendering, "other", other))
        early = await ask(requests, rendering, "a", render)
        await ask(requests, rendering, "a", render, answers)
        await leave(early)
        for each in (render, other):
            each.finish.set()
    assert answers == [b"<svg/>"]
    assert render.cancelled == 0


async def test_a_failure_reaches_each_waiter_and_the_next_request_renders_again() -> None:
    render, caught = Renderer(WorkerLost("lost")), list[WorkerLost]()
    async with open_task_group() as app:
        rendering = Rendering(app)

        async def failing() -> None:
            with pytest.raises(WorkerLost) as error:
                await rendering.join("a", render)
            caught.append(error.value)

        async with open_task_group() as requests:
            for _ in range(2):
                requests.start_soon(failing)
            await anyio.wait_all_tasks_blocked()
            render.finish.set()
        assert len({id(error) for error in caught}) == 2
        assert all(error.__cause__ is render.failure for error in caught)
        assert render.runs == 1
        render.failure = None
        assert await rendering.join("a", render) == b"<svg/>"


async def test_a_failure_that_nobody_waits_for_ends_quietly() -> None:
    render = Renderer(WorkerLost("lost"))
    async with open_task_group() as app, open_task_group() as requests:
        rendering = Rendering(app)
        await leave(await ask(requests, rendering, "a", render))
        render.finish.set()
    assert len(rendering) == 0


async def test_the_end_of_the_service_ends_a_rendering() -> None:
    render = Renderer()
    async with open_task_group() as app:
        rendering = Rendering(app)
        async with open_task_group() as requests:
            await leave(await ask(requests, rendering, "a", render))
        app.cancel_scope.cancel()
    assert (render.cancelled, len(rendering)) == (1, 0)


class Held:
    """Reports, all of which are held; the event is set at the first question, which follows the writing of a figure."""

    def __init__(self) -> None:
        self.asked = anyio.Event()

    async def __call__(self, key: str) -> bool:
        self.asked.set()
        return True


def pictures(group: TaskGroup, pool: Renderer, files: TenantFiles, held: Held) -> Callable[[], Awaitable[bytes]]:
    made = Pictures(group=group, pool=pool, files=files, is_held=held)
    return lambda: made.picture(KEY, "forest", lambda: {"title": "t"}, file="ja.svg", suffix="svg")


async def test_the_picture_of_a_request_that_has_left_is_stored(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    files, render, held = directory.within(DEFAULT_TENANT), Renderer(), Held()
    async with open_task_group() as app:
        picture, request = pictures(app, render, files, held), anyio.CancelScope()

        async def ask() -> None:
            with request:
                await picture()

        app.start_soon(ask)
        await render.begun.wait()
        request.cancel()
        await anyio.wait_all_tasks_blocked()
        render.finish.set()
        with anyio.fail_after(PATIENCE_SECONDS):
            await held.asked.wait()
        assert await files.read_figure(files.figure(KEY, "forest", "ja.svg")) == b"<svg/>"
        assert await picture() == b"<svg/>"
    directory.close()
    assert (render.runs, render.cancelled) == (1, 0)


async def test_a_picture_is_returned_although_it_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = DataDirectory(tmp_path)
    files, render = directory.within(DEFAULT_TENANT), Renderer()

    async def full(path: Path, content: bytes) -> None:
        raise StorageFull("full")

    monkeypatch.setattr(files, "write_figure", full)
    render.finish.set()
    async with open_task_group() as app:
        picture = pictures(app, render, files, Held())
        assert [await picture(), await picture()] == [b"<svg/>"] * 2
    directory.close()
    assert render.runs == 2
