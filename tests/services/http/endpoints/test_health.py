import pytest
import trio
import trio.testing

from cqox.tasks import open_task_group
from cqox.telemetry import metric_definitions, metrics
from services.config.settings import Settings
from services.http.endpoints.health import add_health
from services.http.server.app import App


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
    async with open_task_group("tasks of the app") as app.tasks:
        response = await app.test_client().get(path)
        app.tasks.cancel_scope.cancel()
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
async def test_dependencies_that_never_answer_are_asked_together_for_half_a_second(autojump_clock):
    began = trio.current_time()
    status, health = await ask(make_app(engine=trio.sleep_forever, store=trio.sleep_forever), "/health/ready")
    assert trio.current_time() - began == pytest.approx(0.5)
    assert status == 200
    assert health["degraded"] == {"engine": "no answer within 0.5 s", "store": "no answer within 0.5 s"}


@pytest.mark.trio
async def test_a_dependency_that_is_slow_to_give_up_holds_no_answer_and_is_asked_once_at_a_time(autojump_clock):
    asked: list[float] = []

    async def frozen() -> None:
        asked.append(trio.current_time())
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    app = make_app(store=frozen)
    async with open_task_group("tasks of the app") as app.tasks:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(app.test_client().get, "/health/ready")
        assert trio.current_time() - began == pytest.approx(0.5)
        await trio.sleep(6)
        assert (await app.test_client().get("/health/ready")).status_code == 200
        app.tasks.cancel_scope.cancel()
    assert [at - began for at in asked] == pytest.approx([0.0, 6.5])


@pytest.mark.trio
async def test_a_dependency_that_answers_again_is_no_longer_named():
    answers = iter([refused, fine])
    app = make_app(store=lambda: next(answers)())
    assert (await ask(app, "/health/ready"))[1]["degraded"] == {"store": "nobody there"}
    assert (await ask(app, "/health/ready"))[1]["degraded"] == {}


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


def parts() -> dict[str, float]:
    return {str(labels["part"]): value for value, labels in metrics.read(metric_definitions.DEGRADED)}


@pytest.mark.trio
async def test_the_metric_says_what_health_says_and_nobody_has_to_ask(autojump_clock):
    answers = {"store": fine, "engine": fine}

    async def store() -> None:
        await answers["store"]()

    async def engine() -> None:
        await answers["engine"]()

    app = make_app(store=store, engine=engine)
    async with open_task_group("tasks of the app") as app.tasks, app.resources[-1]():
        assert parts() == {"store": 0.0, "engine": 0.0}
        answers |= {"store": refused, "engine": trio.sleep_forever}
        await trio.sleep(6)
        assert parts() == {"store": 1.0, "engine": 1.0}
        health = await (await app.test_client().get("/api/health")).get_json()
        assert set(health["degraded"]) == {"store", "engine"}
        answers |= {"store": fine, "engine": fine}
        await trio.sleep(12)
        assert parts() == {"store": 0.0, "engine": 0.0}
        assert (await (await app.test_client().get("/api/health")).get_json())["degraded"] == {}
    assert parts() == {}
