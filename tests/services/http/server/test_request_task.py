"""The lifespan protocol of an app, with messages as from a server."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from cqox.tasks import open_task_group
from services.config.settings import Settings
from services.http.server.app import App
from services.http.server.request_task import Lifespan


class Server:
    """A server that runs the lifespan of an app as a task, which the test shuts down."""

    def __init__(self, *resources: AbstractAsyncContextManager[None]) -> None:
        self.app = App(__name__, title="Gateway", settings=Settings())
        self.app.resources = [lambda opened=opened: opened for opened in resources]
        self.sent: list[str] = []
        self.said = ""
        self._started, self._end = False, trio.Event()

    async def run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"spec_version": "2.0", "version": "3.0"}, "state": {}}
        await Lifespan(self.app, scope)(self._receive, self._send)

    def end(self) -> None:
        self._end.set()

    async def _receive(self) -> dict[str, str]:
        if self._started:
            await self._end.wait()
            # There is one such message: nobody may wait for a second one.
            self._end = trio.Event()
            return {"type": "lifespan.shutdown"}
        self._started = True
        return {"type": "lifespan.startup"}

    async def _send(self, message: dict[str, str]) -> None:
        self.sent.append(message["type"].removeprefix("lifespan."))
        self.said += message.get("message", "")


@asynccontextmanager
async def breaking(when: trio.Event, error: BaseException) -> AsyncIterator[None]:
    async def work() -> None:
        await when.wait()
        raise error

    async with open_task_group("resource", detached=True) as group:
        group.start_soon(work)
        yield
        group.cancel_scope.cancel()


@asynccontextmanager
async def well(closed: list[str]) -> AsyncIterator[None]:
    try:
        async with open_task_group("well", detached=True) as group:
            group.start_soon(trio.sleep_forever)
            yield
            group.cancel_scope.cancel()
    finally:
        closed.append("closed")


@asynccontextmanager
async def closing_badly() -> AsyncIterator[None]:
    yield
    raise OSError("the disk is gone")


@asynccontextmanager
async def unable_to_open() -> AsyncIterator[None]:
    raise OSError("the disk is gone")
    yield


@asynccontextmanager
async def slow_to_open() -> AsyncIterator[None]:
    await trio.sleep_forever()
    yield


@pytest.mark.trio
async def test_an_app_with_working_resources_ends_on_the_shutdown_message(autojump_clock):
    closed: list[str] = []
    server = Server(well(closed), well(closed))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await trio.testing.wait_all_tasks_blocked()
        assert server.sent == ["startup.complete"]
        assert closed == []
        server.end()
    assert server.sent == ["startup.complete", "shutdown.complete"]
    assert closed == ["closed", "closed"]
    assert not server.app.lifecycle.failed.is_set()


@pytest.mark.trio
async def test_a_task_of_a_resource_that_breaks_is_a_failure_of_the_app(autojump_clock):
    closed: list[str] = []
    broke, error = trio.Event(), ValueError("it broke")
    server = Server(well(closed), breaking(broke, error), well(closed))
    with capture_logs() as said:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            await trio.testing.wait_all_tasks_blocked()
            assert not server.app.lifecycle.failed.is_set()
            broke.set()
            await trio.testing.wait_all_tasks_blocked()
            assert server.app.lifecycle.failed.is_set()
            assert closed == ["closed", "closed"]
            # The server has yet to end its connections.
            assert server.sent == ["startup.complete"]
            server.end()
    assert server.sent == ["startup.complete", "shutdown.complete"]
    failure = server.app.lifecycle.failure
    assert isinstance(failure, ExceptionGroup)
    assert failure.subgroup(lambda each: each is error) is not None
    assert [line["event"] for line in said] == ["a resource of the app failed"]


@pytest.mark.trio
async def test_a_resource_that_breaks_as_it_closes_is_a_failure_and_waits_for_nothing(autojump_clock):
    server = Server(closing_badly())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await trio.testing.wait_all_tasks_blocked()
        server.end()
        with trio.fail_after(60):
            while "shutdown.complete" not in server.sent:
                await trio.sleep(1)
    assert server.app.lifecycle.failed.is_set()


@pytest.mark.trio
async def test_a_resource_that_cannot_be_opened_ends_the_start_with_its_own_words(autojump_clock):
    closed: list[str] = []
    server = Server(well(closed), unable_to_open())
    await server.run()
    assert (server.sent, server.said) == (["startup.failed"], "the disk is gone")


@pytest.mark.trio
async def test_a_task_of_a_resource_that_breaks_while_the_next_one_opens_ends_the_start(autojump_clock):
    broke = trio.Event()
    server = Server(breaking(broke, ValueError("it broke")), slow_to_open())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await trio.testing.wait_all_tasks_blocked()
        broke.set()
    assert server.sent == ["startup.failed"]


@pytest.mark.trio
async def test_a_cancelled_app_closes_its_resources_and_has_not_failed(autojump_clock):
    server = Server(breaking(trio.Event(), ValueError()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert server.sent == ["startup.complete"]
    assert not server.app.lifecycle.failed.is_set()
