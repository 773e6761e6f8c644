import pytest
import trio
import trio.testing

from services.http.app import App
from services.http.health import add_health
from services.http.settings import Settings


def make_app(**checks) -> App:
    app = App(__name__, title="Gateway", settings=Settings())
    add_health(app, checks)
    app.lifecycle.warmed()
    return app


async def fine() -> None:
    await trio.lowlevel.checkpoint()


async def refused() -> None:
    raise ConnectionRefusedError("nobody there")


async def ask(app: App, path: str):
    response = await app.test_client().get(path)
    return response.status_code, await response.get_json()


@pytest.mark.trio
async def test_a_dependency_that_is_down_makes_it_degraded_and_keeps_it_ready():
    for path in ("/health/ready", "/api/health"):
        status, health = await ask(make_app(engine=refused, store=fine), path)
        assert status == 200
        assert (health["status"], health["degraded"]) == ("degraded", {"engine": "nobody there"})


@pytest.mark.trio
async def test_all_is_well_where_every_dependency_answers():
    status, health = await ask(make_app(store=fine), "/health/ready")
    assert (status, health["status"], health["degraded"], health["service"]) == (200, "ok", {}, "gateway")
    assert health["in_flight"] == 0
    assert health["version"]


@pytest.mark.trio
async def test_dependencies_that_never_answer_are_asked_together_for_one_second(autojump_clock):
    began = trio.current_time()
    status, health = await ask(make_app(engine=trio.sleep_forever, store=trio.sleep_forever), "/health/ready")
    assert trio.current_time() - began == pytest.approx(1.0)
    assert status == 200
    assert health["degraded"] == {"engine": "no answer within 1 s", "store": "no answer within 1 s"}


@pytest.mark.trio
@pytest.mark.parametrize("stage", ["starting", "draining"])
async def test_it_is_unready_only_while_it_starts_or_drains(stage):
    app = App(__name__, title="Gateway", settings=Settings())
    add_health(app, {})
    if stage == "draining":
        app.lifecycle.warmed()
        app.lifecycle.draining.set()
    assert (await ask(app, "/health/ready"))[0] == 503
    status, health = await ask(app, "/api/health")
    assert (status, health["status"]) == (200, stage)
    assert await ask(app, "/health/live") == (200, {"status": "alive"})
