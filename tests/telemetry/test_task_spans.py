"""Every task a span, on both loops; and an instrument of Trio that finds any task without one."""

import importlib
import json
from pathlib import Path

import anyio
import pytest
import trio
from opentelemetry import trace

from cqox.tasks import observe_tasks, open_task_group
from cqox.telemetry import span, untraced, waited_for
from cqox.telemetry.tasks import TaskSpans
from services.http.server.lifecycle import Stage
from tests.recorded import Kept
from tests.telemetry.conftest import ANALYSIS

pytestmark = pytest.mark.anyio

ANALYZE = json.dumps(ANALYSIS).encode()
ERROR = trace.StatusCode.ERROR
UNSET = trace.StatusCode.UNSET
_ROOT = Path(__file__).parents[2]
_OURS = (f"{_ROOT}/cqox/", f"{_ROOT}/services/")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def observed(kept: Kept):
    before = observe_tasks(TaskSpans(kept.recorder))
    yield kept
    observe_tasks(before)


async def nothing() -> None:
    await anyio.lowlevel.checkpoint()


async def failing() -> None:
    raise ValueError("broken")


async def test_a_task_is_a_span_below_its_starter_and_says_how_it_ended(observed: Kept) -> None:
    async with open_task_group("outer") as group:
        with span("starter"):
            group.start_soon(nothing, name="child")
    child, starter = observed.named("child"), observed.named("starter")
    assert child.parent.span_id == starter.context.span_id
    assert child.attributes == {"cqox.task.group": "outer", "cqox.task.outcome": "succeeded"}
    assert child.status.status_code is UNSET


async def test_a_task_that_fails_is_an_error_and_its_cancelled_sibling_is_none(observed: Kept) -> None:
    with pytest.raises(ExceptionGroup):  # noqa: PT012 - the group raises as it is left
        async with open_task_group() as group:
            group.start_soon(anyio.sleep_forever, name="sibling")
            await anyio.lowlevel.checkpoint()
            group.start_soon(failing, name="failing")
    failed, sibling = observed.named("failing"), observed.named("sibling")
    assert failed.status.status_code is ERROR
    assert failed.attributes["error.type"] == "ValueError"
    assert [event.name for event in failed.events] == ["exception"]
    assert sibling.status.status_code is UNSET
    assert sibling.attributes["cqox.cancelled"] is True
    assert sibling.attributes["cqox.task.outcome"] == "cancelled"
    assert not sibling.events


async def test_a_task_that_outlives_its_starter_begins_a_trace_that_links_to_it(observed: Kept) -> None:
    async with open_task_group("app", detached=True) as group:
        with span("request"):
            group.start_soon(nothing, name="job")
    job, request = observed.named("job"), observed.named("request")
    assert job.parent is None
    assert job.context.trace_id != request.context.trace_id
    assert [link.context.span_id for link in job.links] == [request.context.span_id]


async def test_a_detached_task_that_is_waited_for_stays_in_the_trace_of_its_starter(observed: Kept) -> None:
    async def computation() -> None:
        async with open_task_group("app within", detached=True) as inner:
            inner.start_soon(nothing, name="further")

    async with open_task_group("app", detached=True) as group:
        with span("request"), waited_for():
            group.start_soon(computation, name="computation")
    computed, request = observed.named("computation"), observed.named("request")
    assert computed.parent.span_id == request.context.span_id
    # The waiter waits for this task alone.
    assert observed.named("further").parent is None


@pytest.mark.parametrize("ratio", [1.0, 0.0])
async def test_a_task_that_is_started_where_nothing_is_traced_starts_no_trace(kept: Kept, ratio: float) -> None:
    async def inside() -> None:
        with span("inside"):
            await anyio.lowlevel.checkpoint()

    before = observe_tasks(TaskSpans(kept.recorder, ratio=ratio, draw=lambda: 0.5))
    try:
        async with open_task_group("app", detached=True) as group:
            with untraced("probe"):
                group.start_soon(inside)
    finally:
        observe_tasks(before)
    assert kept.spans == ()


async def test_a_task_that_is_not_drawn_has_no_span_and_what_is_in_it_belongs_to_its_starter(kept: Kept) -> None:
    async def work() -> None:
        with span("inside"):
            await nothing()

    before = observe_tasks(TaskSpans(kept.recorder, ratio=0.5, draw=lambda: 0.5))
    try:
        with span("starter"):
            async with open_task_group() as group:
                group.start_soon(work, name="undrawn")
                group.start_soon(nothing)
    finally:
        observe_tasks(before)
    assert [span.name for span in kept.spans] == ["inside", "starter"]
    assert kept.named("inside").parent.span_id == kept.named("starter").context.span_id


async def test_a_detached_task_that_is_not_drawn_does_not_run_on_in_the_trace_of_its_starter(kept: Kept) -> None:
    async def work() -> None:
        with span("inside"):
            await nothing()

    before = observe_tasks(TaskSpans(kept.recorder, ratio=0.0))
    try:
        async with open_task_group(detached=True) as group:
            with span("request"):
                group.start_soon(work)
    finally:
        observe_tasks(before)
    assert kept.named("inside").context.trace_id != kept.named("request").context.trace_id


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
async def test_a_share_that_makes_no_sense_is_refused(kept: Kept, ratio: float) -> None:
    with pytest.raises(ValueError, match="ratio must be from 0 to 1"):
        TaskSpans(kept.recorder, ratio=ratio)


class _Unspanned(trio.abc.Instrument):
    """Notes every task of the application that was over before it had a span of its own."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.without: list[str] = []
        self._inherited: dict[trio.lowlevel.Task, int] = {}

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self._inherited[task] = self._span_of(task)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        inherited = self._inherited.pop(task, None)
        # A task that has run and is not over must be inside its span.
        if inherited is not None and _runs_our_code(task.coro):
            self.seen.append(task.name)
            if self._span_of(task) == inherited:
                self.without.append(task.name)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self._inherited.pop(task, None)

    def _span_of(self, task: trio.lowlevel.Task) -> int:
        return task.context.run(lambda: trace.get_current_span().get_span_context().span_id)


def _runs_our_code(coroutine: object) -> bool:
    """Return whether the outermost function of a task, below the wrappers of the loop, is the application's."""
    while (code := getattr(coroutine, "cr_code", None)) is not None:
        if "/anyio/" not in code.co_filename and "/trio/" not in code.co_filename:
            return code.co_filename.startswith(_OURS)
        coroutine = coroutine.cr_await
    return False


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("service", ["gateway", "engine"])
async def test_under_load_no_task_of_the_application_is_without_a_span(
    observed: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path, service: str
) -> None:
    from services.config.configuration import load

    create_app = importlib.import_module(f"services.{service}.app").create_app
    # The app begins telemetry of its own; this test has its own already.
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    app = create_app(load({"ENGINE_URL": "http://127.0.0.1:1", "CQOX_DATA_DIR": str(tmp_path)}).settings)
    instrument = _Unspanned()
    trio.lowlevel.add_instrument(instrument)
    try:
        await _load(app, requests=60)
    finally:
        trio.lowlevel.remove_instrument(instrument)
    assert len(instrument.seen) >= 60
    wanted = {"request body"}
    if service == "engine":
        wanted |= {"computation", "job", "renew the computation lease", "maintain the job leases"}
    assert wanted < set(instrument.seen)
    assert instrument.without == []


async def _load(app, *, requests: int) -> None:
    """Requests by ASGI, all at once, some of which leave before they are answered."""
    ended = trio.Event()
    started = trio.Event()

    async def lifespan_receive():
        if not started.is_set():
            return {"type": "lifespan.startup"}
        await ended.wait()
        return {"type": "lifespan.shutdown"}

    async def lifespan_send(message) -> None:
        started.set()

    async with trio.open_nursery() as nursery:
        # As by a server: the outermost function of the task is not the application's.
        scope = {"type": "lifespan", "asgi": {}, "state": {}}
        nursery.start_soon(_serve, app, scope, lifespan_receive, lifespan_send)
        await started.wait()
        with trio.fail_after(60):
            while app.lifecycle.stage is Stage.STARTING:
                await trio.sleep(0.05)
        async with trio.open_nursery() as clients:
            for number in range(requests):
                path = ("/api/datasets", "/api/health", "/metrics", "/nothing")[number % 4]
                clients.start_soon(_request, app, path, number % 5 == 0)
            # One analysis that is waited for, and one in the background.
            for prefer in (b"wait=60", b"respond-async"):
                clients.start_soon(_request, app, "/api/analyze/comprehensive", False, ANALYZE, (b"prefer", prefer))
        ended.set()


async def _serve(app, *scope_receive_send) -> None:
    await app(*scope_receive_send)


async def _request(app, path: str, leaves: bool, body: bytes = b"", *headers: tuple[bytes, bytes]) -> None:
    answered = trio.Event()
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        if leaves:
            await trio.sleep(0.01)
        else:
            await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message) -> None:
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            answered.set()

    scope = {
        "type": "http",
        "asgi": {"spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST" if body else "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), *headers],
        "client": ("127.0.0.1", 1234),
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }
    await app(scope, receive, send)
