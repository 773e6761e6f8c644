"""The middleware: a request runs under the values of its header fields."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from cqox.errors import DeadlineExceeded
from cqox.resilience.composition.decorators import api_timeout
from cqox.resilience.deadlines.deadline import deadline, remaining
from cqox.resilience.propagation.asgi import DeadlineMiddleware, Receive, Scope, Send
from cqox.resilience.runtime.call_context import attempt_served, serves_a_retry
from cqox.resilience.runtime.criticality import Criticality, current_criticality

pytestmark = pytest.mark.anyio

type Message = MutableMapping[str, object]


class Client:
    """Makes one request and keeps what was sent back."""

    def __init__(self, path: str = "/api", kind: str = "http", **headers: str) -> None:
        self.sent: list[Message] = []
        self.scope: Scope = {
            "type": kind,
            "path": path,
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }

    async def send(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        self.sent.append(message)

    async def receive(self) -> Message:
        await anyio.lowlevel.checkpoint()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def ask(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> int | None:
        await app(self.scope, self.receive, self.send)
        status = self.sent[0]["status"] if self.sent else None
        assert status is None or isinstance(status, int)
        return status


class App:
    """Notes what is in force, then answers."""

    def __init__(self, work: Callable[[], Awaitable[object]] = anyio.lowlevel.checkpoint) -> None:
        self.work = work
        self.calls = 0
        self.remaining = -1.0
        self.level: Criticality | None = None
        self.attempt = -1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        self.remaining, self.level, self.attempt = remaining(), current_criticality(), attempt_served.get()
        await self.work()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


async def test_a_request_runs_under_the_time_that_its_caller_gave_it() -> None:
    app = App()
    assert await Client(x_request_timeout_ms="20000").ask(DeadlineMiddleware(app, max_seconds=60.0)) == 200
    assert 10.0 < app.remaining <= 20.0


async def test_no_caller_gets_more_than_the_maximum_of_the_server() -> None:
    app = App()
    await Client(x_request_timeout_ms="90000").ask(DeadlineMiddleware(app, max_seconds=60.0))
    assert 50.0 < app.remaining <= 60.0
    await Client().ask(DeadlineMiddleware(app, max_seconds=30.0))
    assert 20.0 < app.remaining <= 30.0


async def test_the_maximum_may_depend_on_the_path_and_be_infinite() -> None:
    app = App()
    middleware = DeadlineMiddleware(app, max_seconds=lambda path: float("inf") if path == "/events" else 5.0)
    await Client("/events").ask(middleware)
    assert app.remaining == float("inf")
    await Client("/api").ask(middleware)
    assert app.remaining <= 5.0


@pytest.mark.parametrize("max_seconds", [0.0, -1.0, float("nan")])
async def test_a_nonsense_maximum_is_refused_at_construction(max_seconds: float) -> None:
    with pytest.raises(ValueError, match="max_seconds must be above 0, not"):
        DeadlineMiddleware(App(), max_seconds=max_seconds)


async def test_a_request_whose_time_has_passed_is_answered_504_without_calling_the_app() -> None:
    app, client = App(), Client(x_request_timeout_ms="0")
    assert await client.ask(DeadlineMiddleware(app, max_seconds=60.0)) == 504
    assert app.calls == 0
    body = client.sent[1]["body"]
    assert isinstance(body, bytes)
    assert json.loads(body)["status"] == 504
    assert dict(client.sent[0]["headers"])[b"content-type"] == b"application/problem+json"  # type: ignore[call-overload]


async def test_an_app_that_runs_out_of_time_is_cancelled_and_answered_504() -> None:
    cancelled: list[str] = []

    async def hang() -> None:
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            cancelled.append(type(error).__name__)
            raise

    assert await Client(x_request_timeout_ms="30000").ask(DeadlineMiddleware(App(hang), max_seconds=60.0)) == 504
    assert len(cancelled) == 1


async def test_a_deadline_that_the_app_lets_through_is_answered_504() -> None:
    async def give_up() -> None:
        await anyio.lowlevel.checkpoint()
        raise DeadlineExceeded(1.0)

    assert await Client().ask(DeadlineMiddleware(App(give_up), max_seconds=60.0)) == 504


async def test_a_response_that_has_begun_is_cut_and_not_followed_by_another() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await anyio.sleep_forever()

    client = Client(x_request_timeout_ms="30000")
    with pytest.raises(DeadlineExceeded):
        await client.ask(DeadlineMiddleware(app, max_seconds=60.0))
    assert [message["type"] for message in client.sent] == ["http.response.start", "http.response.body"]


@pytest.mark.parametrize("sends_from_a_task", [False, True])
async def test_what_runs_on_after_a_complete_response_is_not_cancelled(sends_from_a_task: bool) -> None:
    seen: list[float] = []

    async def answer(send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"who", "more_body": True})
        await send({"type": "http.response.body", "body": b"le"})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as group:
            if sends_from_a_task:
                group.start_soon(answer, send)
            else:
                await answer(send)
        seen.append(remaining())
        await anyio.sleep(300.0)
        # A call in the background is bounded by its own limit alone.
        seen.append(await api_timeout(10.0)(measured)())

    async def measured() -> float:
        await anyio.lowlevel.checkpoint()
        return remaining()

    client = Client(x_request_timeout_ms="30000")
    assert await client.ask(DeadlineMiddleware(app, max_seconds=60.0)) == 200
    assert len(client.sent) == 3
    assert seen == [float("inf"), pytest.approx(10.0)]


async def test_what_hides_a_longer_deadline_shows_it_again_after_the_answer() -> None:
    seen: list[float] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await App()(scope, receive, send)
        seen.append(remaining())

    with deadline(50.0):
        await Client().ask(DeadlineMiddleware(app, max_seconds=20.0))
    assert seen == [pytest.approx(50.0)]


async def test_an_answer_with_trailers_is_bounded_until_they_are_sent() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"whole"})
        await anyio.sleep_forever()

    client = Client(x_request_timeout_ms="30000")
    with pytest.raises(DeadlineExceeded):
        await client.ask(DeadlineMiddleware(app, max_seconds=60.0))


async def test_a_deadline_that_ends_a_background_task_reaches_the_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await App()(scope, receive, send)
        with deadline(5.0):
            await anyio.sleep_forever()

    with pytest.raises(DeadlineExceeded):
        await Client().ask(DeadlineMiddleware(app, max_seconds=60.0))


@pytest.mark.parametrize("around", [False, True])
async def test_background_tasks_of_starlette_are_not_cancelled(around: bool) -> None:
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    done: list[str] = []

    async def work() -> None:
        await anyio.sleep(300.0)
        done.append("background")

    async def endpoint(request: object) -> Any:
        return PlainTextResponse("ok", background=BackgroundTask(work))

    async def untouched(request: object, call_next: Any) -> Any:
        return await call_next(request)

    middleware = [Middleware(BaseHTTPMiddleware, dispatch=untouched)] if around else []
    app = Starlette(routes=[Route("/api", endpoint)], middleware=middleware)
    client = Client(x_request_timeout_ms="30000")
    client.scope.update(method="GET", query_string=b"", root_path="")
    assert await client.ask(DeadlineMiddleware(app, max_seconds=60.0)) == 200
    assert done == ["background"]


async def test_a_client_that_goes_away_cancels_the_app_and_is_not_answered() -> None:
    client = Client(x_request_timeout_ms="60000")
    with anyio.CancelScope() as connection:
        app = App(anyio.sleep_forever)
        async with anyio.create_task_group() as group:
            group.start_soon(client.ask, DeadlineMiddleware(app, max_seconds=60.0))
            await anyio.wait_all_tasks_blocked()
            connection.cancel()
    assert connection.cancelled_caught
    assert client.sent == []


async def test_an_error_of_the_app_goes_through_unchanged() -> None:
    mine = ZeroDivisionError("mine")

    async def fail() -> None:
        raise mine

    with pytest.raises(ZeroDivisionError) as caught:
        await Client().ask(DeadlineMiddleware(App(fail), max_seconds=60.0))
    assert caught.value is mine


async def test_a_request_that_is_a_retry_is_known_as_one_while_it_is_handled() -> None:
    app = App()
    await Client(x_retry_attempt="2").ask(DeadlineMiddleware(app, max_seconds=60.0))
    assert app.attempt == 2
    assert not serves_a_retry()
    await Client().ask(DeadlineMiddleware(app, max_seconds=60.0))
    assert app.attempt == 0


@pytest.mark.parametrize(
    ("path", "claim", "level"),
    [
        ("/api", "sheddable", Criticality.SHEDDABLE),
        ("/api", "critical-plus", Criticality.CRITICAL),
        ("/health", "sheddable", Criticality.PROBE),
        ("/health/live", "", Criticality.PROBE),
        ("/healthy", "", Criticality.CRITICAL),
        ("/api/health", "", Criticality.CRITICAL),
    ],
)
async def test_a_request_has_the_criticality_it_may_claim_and_a_probe_is_a_probe(
    path: str, claim: str, level: Criticality
) -> None:
    app = App()
    await Client(path, x_criticality=claim).ask(DeadlineMiddleware(app, max_seconds=60.0))
    assert app.level is level
    assert current_criticality() is Criticality.CRITICAL


async def test_a_websocket_has_attempt_and_criticality_and_no_deadline() -> None:
    app = App()
    client = Client(kind="websocket", x_request_timeout_ms="5", x_criticality="sheddable", x_retry_attempt="1")
    await client.ask(DeadlineMiddleware(app, max_seconds=60.0))
    assert (app.remaining, app.level, app.attempt) == (float("inf"), Criticality.SHEDDABLE, 1)


async def test_the_lifespan_of_the_app_is_left_alone() -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.lowlevel.checkpoint()
        scopes.append(scope)

    lifespan: Scope = {"type": "lifespan"}
    client = Client()
    await DeadlineMiddleware(app, max_seconds=60.0)(lifespan, client.receive, client.send)
    assert scopes == [lifespan]


async def test_the_server_may_word_its_own_answer() -> None:
    async def expired(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 599, "headers": []})

    middleware = DeadlineMiddleware(App(), max_seconds=60.0, expired=expired)
    assert await Client(x_request_timeout_ms="0").ask(middleware) == 599
