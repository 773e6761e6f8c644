import json

import pytest
import structlog

from cqox.resilience import CircuitBreaker, Policy, Registry, Retry, Shed
from services.config.settings import Settings
from services.http.endpoints.admin import add_admin
from services.http.server.app import App

PATH = "/api/admin/policies"


@pytest.fixture
def breaker():
    return CircuitBreaker("tested", key="tested breaker")


@pytest.fixture
def policy(breaker, monkeypatch):
    # The registry of the process still lists what other tests made, until it is collected.
    own = Registry()
    monkeypatch.setattr("services.http.endpoints.admin.registry", own)
    made = Policy("tested", Shed(3, name="tested"), breaker, Retry(3, name="tested"))
    own.add("tested", made)
    own.add("tested breaker", breaker)
    return made


TOKEN = Settings(admin_token="秘密 s3cret")
BEARER = {"Authorization": "Bearer 秘密 s3cret"}


async def ask(settings: Settings, *, remote: str = "127.0.0.1", body: object = None, **headers: str):
    app = App("tests", title="Gateway", settings=settings)
    add_admin(app)
    client = app.test_client()
    fields = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await client.open(
        PATH,
        method="GET" if body is None else "POST",
        headers=fields if body is None else {"Content-Type": "application/json"} | fields,
        data=None if body is None else json.dumps(body),
        scope_base={"client": (remote, 1234)},
    )
    return answer.status_code, json.loads(await answer.get_data())


async def steer(body: object):
    return await ask(TOKEN, body=body, **BEARER)


@pytest.mark.trio
@pytest.mark.parametrize("remote", ["127.0.0.1", "::1", "10.0.0.7", "<local>"])
async def test_without_a_token_the_port_has_no_such_path_for_anybody(policy, breaker, remote):
    for body in (None, {"policy": "tested", "action": "isolate"}):
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}, {"Host": "localhost"}):
            status, problem = await ask(Settings(), remote=remote, body=body, **headers)
            assert (status, problem["type"]) == (404, "no-such-path")
            assert PATH not in problem["choices"]
    assert breaker.snapshot().mode.value == "normal"


@pytest.mark.trio
async def test_who_holds_the_token_sees_every_policy(policy, breaker):
    status, listing = await ask(TOKEN, remote="10.0.0.7", **BEARER)
    assert (status, listing["service"]) == (200, "gateway")
    assert listing["policies"]["tested breaker"]["state"] == "closed"
    assert [part["kind"] for part in listing["policies"]["tested"]["parts"]] == ["Shed", "CircuitBreaker", "Retry"]
    assert listing["policies"]["tested"]["parts"][0]["state"]["rejected"]["sheddable-plus"] == 0


@pytest.mark.trio
@pytest.mark.parametrize("remote", ["127.0.0.1", "::1", "10.0.0.7"])
async def test_where_a_token_is_set_it_is_asked_for_always(policy, breaker, remote):
    for wrong in ({}, {"Authorization": "Bearer s3cret"}, {"Authorization": "s3cret"}, {"Authorization": "Bearer "}):
        for body in (None, {"policy": "tested", "action": "isolate"}):
            assert (await ask(TOKEN, remote=remote, body=body, **wrong))[0] == 404
    assert breaker.snapshot().mode.value == "normal"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("action", "mode"), [("isolate", "isolated"), ("disable", "disabled"), ("observe_only", "observe_only")]
)
@pytest.mark.parametrize("name", ["tested", "tested breaker"])
async def test_a_circuit_is_forced_and_let_go(policy, breaker, name, action, mode):
    status, listing = await steer({"policy": name, "action": action})
    assert (status, listing["policies"]["tested breaker"]["mode"]) == (200, mode)
    await steer({"policy": name, "action": "reset"})
    assert breaker.snapshot().mode.value == "normal"


@pytest.mark.trio
async def test_settings_are_changed_where_they_make_sense(policy, breaker):
    body = {"policy": "tested", "settings": {"recovery_timeout": 5, "max_attempts": 2}}
    assert (await steer(body))[0] == 200
    assert (breaker.settings.recovery_timeout, policy.part(Retry).settings.max_attempts) == (5, 2)
    for settings in ({"recovery_timeout": -1}, {"recovery_timeout": "soon"}, {"nonsense": 1}, {"max_attempts": 0}):
        status, problem = await steer({"policy": "tested", "settings": settings})
        assert (status, problem["type"]) == (400, "invalid-request"), problem
    assert breaker.settings.recovery_timeout == 5


@pytest.mark.trio
async def test_only_settings_that_a_request_can_spell_are_offered(policy):
    for name in ("nonsense", "failure_if", "Retry.exceptions"):
        _, problem = await steer({"policy": "tested", "settings": {name: 1}})
        offered = problem["detail"].partition("can be changed: ")[2].removesuffix(".").split(", ")
        assert {"recovery_timeout", "max_attempts"} <= set(offered)
        assert not {"failure_if", "failures", "exceptions", "probe"} & {each.rpartition(".")[2] for each in offered}


@pytest.mark.trio
async def test_the_log_says_what_was_changed_and_nothing_else(policy):
    with structlog.testing.capture_logs() as logged:
        await steer({"policy": "tested", "settings": {"max_attempts": 2}})
        await steer({"policy": "tested", "action": "reset"})
    changed, forced = [entry for entry in logged if entry["event"] == "a policy was steered"]
    assert (changed["settings"], "action" in changed) == ({"max_attempts": 2}, False)
    assert (forced["action"], "settings" in forced) == ("reset", False)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"policy": "nobody", "action": "reset"}, 404),
        ({"policy": "tested"}, 400),
        ({"policy": "tested", "action": "reset", "settings": {}}, 400),
        ({"policy": "tested", "action": "explode"}, 400),
        ({"policy": "tested", "action": "reset", "more": 1}, 400),
    ],
)
async def test_a_change_that_cannot_be_made_says_what_can(policy, body, status):
    got, problem = await steer(body)
    assert got == status
    assert problem["detail"]
