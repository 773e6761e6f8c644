import json

import pytest

from cqox.resilience import CircuitBreaker, Policy, Registry, Retry, Shed
from services.http.admin import add_admin
from services.http.app import App
from services.http.settings import Settings

PATH = "/api/admin/policies"


@pytest.fixture
def breaker():
    return CircuitBreaker("tested", key="tested breaker")


@pytest.fixture
def policy(breaker, monkeypatch):
    # The registry of the process still lists what other tests made, until it is collected.
    own = Registry()
    monkeypatch.setattr("services.http.admin.registry", own)
    made = Policy("tested", Shed(3, name="tested"), breaker, Retry(3, name="tested"))
    own.add("tested", made)
    own.add("tested breaker", breaker)
    return made


async def ask(settings: Settings, *, remote: str = "127.0.0.1", body: object = None, **headers: str):
    app = App("tests", title="Gateway", settings=settings)
    add_admin(app)
    client = app.test_client()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await client.open(
        PATH,
        method="GET" if body is None else "POST",
        headers=fields if body is None else {"Content-Type": "application/json"} | fields,
        data=None if body is None else json.dumps(body),
        scope_base={"client": (remote, 1234)},
    )
    return answer.status_code, json.loads(await answer.get_data())


@pytest.mark.trio
@pytest.mark.parametrize("remote", ["127.0.0.1", "127.8.8.8", "::1"])
async def test_clients_on_this_machine_see_every_policy(policy, breaker, remote):
    status, listing = await ask(Settings(), remote=remote)
    assert status == 200
    assert listing["policies"]["tested breaker"]["state"] == "closed"
    assert [part["kind"] for part in listing["policies"]["tested"]["parts"]] == ["Shed", "CircuitBreaker", "Retry"]
    assert listing["policies"]["tested"]["parts"][0]["state"]["rejected"]["sheddable-plus"] == 0


@pytest.mark.trio
@pytest.mark.parametrize(
    ("remote", "headers"),
    [
        ("10.0.0.7", {}),
        ("::ffff:10.0.0.7", {}),
        ("2001:db8::1", {}),
        ("<local>", {}),
        ("127.0.0.1", {"X-Forwarded-For": "10.0.0.7"}),
        ("127.0.0.1", {"Forwarded": "for=10.0.0.7"}),
        ("127.0.0.1", {"Host": "attacker.example:8082"}),
        ("127.0.0.1", {"Origin": "https://attacker.example"}),
        ("127.0.0.1", {"Origin": "null"}),
        ("127.0.0.1", {"Sec-Fetch-Site": "cross-site"}),
    ],
)
async def test_for_everybody_else_there_is_no_such_path(policy, breaker, remote, headers):
    for body in (None, {"policy": "tested", "action": "isolate"}):
        status, problem = await ask(Settings(), remote=remote, body=body, **headers)
        # What a page of another site sends is refused before there are any paths.
        assert (status, problem["type"]) in {
            (404, "no-such-path"),
            (403, "cross-site-request"),
            (421, "foreign-host"),
        }
    assert breaker.snapshot().mode.value == "normal"


@pytest.mark.trio
async def test_a_page_of_the_service_itself_may_ask(policy):
    status, _ = await ask(
        Settings(), Host="localhost:8082", Origin="http://localhost:8082", Sec_Fetch_Site="same-origin"
    )
    assert status == 200


@pytest.mark.trio
async def test_where_a_token_is_set_it_alone_opens_from_wherever(policy):
    settings = Settings(admin_token="秘密 s3cret")
    token = "Bearer 秘密 s3cret"
    assert (await ask(settings, remote="10.0.0.7", Authorization=token))[0] == 200
    for wrong in ({}, {"Authorization": "Bearer s3cret"}, {"Authorization": "s3cret"}, {"Authorization": "Bearer "}):
        assert (await ask(settings, **wrong))[0] == 404


@pytest.mark.trio
@pytest.mark.parametrize(
    ("action", "mode"), [("isolate", "isolated"), ("disable", "disabled"), ("observe_only", "observe_only")]
)
@pytest.mark.parametrize("name", ["tested", "tested breaker"])
async def test_a_circuit_is_forced_and_let_go(policy, breaker, name, action, mode):
    status, listing = await ask(Settings(), body={"policy": name, "action": action})
    assert (status, listing["policies"]["tested breaker"]["mode"]) == (200, mode)
    await ask(Settings(), body={"policy": name, "action": "reset"})
    assert breaker.snapshot().mode.value == "normal"


@pytest.mark.trio
async def test_settings_are_changed_where_they_make_sense(policy, breaker):
    body = {"policy": "tested", "settings": {"recovery_timeout": 5, "max_attempts": 2}}
    assert (await ask(Settings(), body=body))[0] == 200
    assert (breaker.settings.recovery_timeout, policy.part(Retry).settings.max_attempts) == (5, 2)
    for settings in ({"recovery_timeout": -1}, {"recovery_timeout": "soon"}, {"nonsense": 1}, {"max_attempts": 0}):
        status, problem = await ask(Settings(), body={"policy": "tested", "settings": settings})
        assert (status, problem["type"]) == (400, "invalid-request"), problem
    assert breaker.settings.recovery_timeout == 5


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
    got, problem = await ask(Settings(), body=body)
    assert got == status
    assert problem["detail"]
