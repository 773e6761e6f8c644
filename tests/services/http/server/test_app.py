import json
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from cqox.errors import InvalidRequest
from cqox.tasks import open_task_group
from services.config.settings import Settings
from services.http.server.app import App
from tests.waiting import PATIENCE_SECONDS


def make_app() -> App:
    app = App(__name__, title="Gateway", settings=Settings())

    @app.get("/numbers")
    async def numbers():
        return {"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": -float("inf")}, "e": "あ"}

    @app.get("/wrong")
    async def wrong():
        async with open_task_group() as group:
            group.start_soon(fail)
            await trio.sleep_forever()

    async def fail() -> None:
        raise InvalidRequest("Correct this.", choices=["that"])

    @app.get("/bug")
    async def bug():
        raise ZeroDivisionError

    return app


@pytest.mark.trio
async def test_json_never_holds_what_json_cannot():
    response = await make_app().test_client().get("/numbers")
    assert await response.get_data() == '{"a":null,"b":[1.5,null],"c":{"d":null},"e":"あ"}\n'.encode()


@pytest.mark.trio
async def test_an_error_from_a_task_group_reaches_the_client_as_itself():
    response = await make_app().test_client().get("/wrong")
    assert response.status_code == 400
    assert (await response.get_json(force=True))["choices"] == ["that"]


@pytest.mark.trio
async def test_a_bug_is_a_500_with_the_request_id():
    response = await make_app().test_client().get("/bug", headers={"X-Request-Id": "my-id"})
    assert response.status_code == 500
    assert response.headers["X-Request-Id"] == "my-id"
    assert (await response.get_json(force=True))["request_id"] == "my-id"


@pytest.mark.trio
@pytest.mark.parametrize("given", ["", "has space", "a" * 200, "é", "<script>"])
async def test_a_request_id_that_is_not_sane_is_replaced(given):
    response = await make_app().test_client().get("/numbers", headers={"X-Request-Id": given})
    assert len(response.headers["X-Request-Id"]) == 32


@pytest.mark.trio
async def test_every_answer_carries_the_security_headers():
    for path in ("/numbers", "/wrong", "/bug", "/nowhere"):
        headers = (await make_app().test_client().get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.trio
async def test_unknown_paths_and_methods_are_problems_too():
    client = make_app().test_client()
    missing = await client.get("/nowhere")
    assert (missing.status_code, missing.content_type) == (404, "application/problem+json")
    assert "/numbers" in json.loads(await missing.get_data())["choices"]
    other = await client.post("/numbers")
    assert (other.status_code, other.content_type) == (405, "application/problem+json")


@pytest.mark.trio
async def test_resources_open_in_order_and_close_in_the_opposite_one_after_the_tasks():
    app, happened = make_app(), []

    def register(name: str) -> None:
        @app.resource
        @asynccontextmanager
        async def opened():
            happened.append(f"open {name}")
            yield
            await trio.lowlevel.checkpoint()
            happened.append(f"close {name}")

    async def endless() -> None:
        try:
            await trio.sleep_forever()
        finally:
            happened.append("task ended")

    register("first")
    register("second")
    async with app.test_app():
        app.tasks.start_soon(endless)
        await trio.testing.wait_all_tasks_blocked()
        assert app.lifecycle.stage == "ready"
    assert happened == ["open first", "open second", "task ended", "close second", "close first"]


@pytest.mark.trio
async def test_it_is_starting_until_the_last_warm_up_has_ended():
    app, gate = make_app(), trio.Event()
    app.warm_up(gate.wait)
    async with app.test_app():
        await trio.testing.wait_all_tasks_blocked()
        assert app.lifecycle.stage == "starting"
        gate.set()
        await trio.testing.wait_all_tasks_blocked()
        assert app.lifecycle.stage == "ready"


@pytest.mark.trio
async def test_a_warm_up_that_fails_is_the_failure_of_the_process():
    app = make_app()

    async def broken() -> None:
        raise OSError("no disk")

    app.warm_up(broken)
    async with app.test_app():
        with trio.fail_after(PATIENCE_SECONDS):
            await app.lifecycle.failed.wait()
        assert "no disk" in repr(app.lifecycle.failure)


def test_hooks_that_would_run_unsupervised_are_refused():
    app = make_app()
    for hook in (app.before_serving, app.while_serving, app.after_serving, app.add_background_task):
        with pytest.raises(TypeError):
            hook(lambda: None)


@pytest.mark.trio
async def test_requests_are_counted_while_they_are_in_flight():
    app, gate = make_app(), trio.Event()

    @app.get("/waiting")
    async def waiting():
        await gate.wait()
        return {}

    async with open_task_group() as group:
        group.start_soon(app.test_client().get, "/waiting")
        await trio.testing.wait_all_tasks_blocked()
        assert len(app.in_flight) == 1
        gate.set()
        await app.in_flight.wait_idle()
    assert len(app.in_flight) == 0


@pytest.mark.trio
async def test_what_is_cut_is_answered_as_draining():
    app = make_app()

    @app.get("/waiting")
    async def waiting():
        await trio.sleep_forever()

    statuses = []

    async def ask() -> None:
        response = await app.test_client().get("/waiting")
        statuses.append((response.status_code, (await response.get_json(force=True))["type"]))

    async with open_task_group() as group:
        group.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert app.in_flight.cut_all() == ("GET /waiting",)
    assert statuses == [(503, "draining")]
    assert app.in_flight.cut == 1
