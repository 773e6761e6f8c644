"""An engine that does not accept the host name in the gateway's URL."""

import httpx
import pytest
import trio

from cqox.errors import EngineUnavailable
from services.gateway.engine_client import Call
from services.gateway.failures import EngineMisdirected
from services.gateway.policies import EnginePolicies
from services.gateway.replicas import Replicas
from tests.services.gateway.scripted import CALL, Engine, analyze, policies, problem, reply

FOREIGN = problem("foreign-host", 421)
LISTING = Call(method="GET", target=b"/api/datasets")


@pytest.mark.trio
async def test_a_real_engine_refuses_a_name_that_it_does_not_know_and_the_gateway_says_what_to_set(start) -> None:
    engine = start("-m", "services.engine", CQOX_ALLOWED_HOSTS="engine.test")
    port = httpx.URL(engine.url).port

    async def here(host: str, asked: int) -> frozenset[str]:
        await trio.lowlevel.checkpoint()
        return frozenset({"127.0.0.1"})

    for name in ("engine.internal", "engine.test"):
        async with Replicas.open([f"http://{name}:{port}"], resolve=here) as replicas:
            made = EnginePolicies(replicas)
            # Health is answered under every name.
            await made.ping()
            if name == "engine.test":
                assert (await made.read(LISTING)).status == 200
                continue
            with pytest.raises(EngineMisdirected, match=r"'engine\.internal'.*CQOX_ALLOWED_HOSTS of the engine"):
                await made.read(LISTING)


def test_the_client_is_answered_503_with_the_setting_and_the_log_has_it(start, raw) -> None:
    foreign = b"HTTP/1.1 421 Misdirected\r\ncontent-type: application/problem+json\r\ncontent-length: 2\r\n\r\n{}"
    gateway = start("-m", "services.gateway", ENGINE_URL=raw(foreign).url.replace("127.0.0.1", "localhost"))
    headers = {"Content-Type": "application/json"}
    events = headers | {"Accept": "text/event-stream"}
    # More often than a circuit would bear failures: it is the setting that is named, each time.
    for path, fields in 4 * (("/api/analyze/comprehensive", headers), ("/api/analyze/comprehensive", events)):
        answer = httpx.post(gateway.url + path, content=b"{}", headers=fields, timeout=10)
        assert answer.status_code == 503
        assert "'localhost'" in answer.json()["detail"]
        assert "CQOX_ALLOWED_HOSTS of the engine" in answer.json()["detail"]
        assert int(answer.headers["Retry-After"]) >= 1
    for method, path in (("GET", "/api/jobs/x"), ("GET", "/api/jobs/x/events"), ("POST", "/api/datasets")):
        answer = httpx.request(method, gateway.url + path, content=b"y\n1\n" if method == "POST" else None)
        assert (answer.status_code, "CQOX_ALLOWED_HOSTS" in answer.text) == (503, True), answer.text
    assert "CQOX_ALLOWED_HOSTS of the engine" in gateway.wait_line('"warning"')
    assert not any("[Retry]" in line for line in gateway.lines)


@pytest.mark.trio
async def test_another_engine_that_knows_its_name_is_asked_at_once(autojump_clock) -> None:
    wrong, right = Engine(FOREIGN), Engine(reply())
    made = policies(wrong, right)
    for _ in range(12):
        assert (await analyze(made)).status == 200
    assert trio.current_time() == 0
    # Whichever comes first.
    for _ in range(2):
        assert (await made.find(CALL)).status == 200


@pytest.mark.trio
async def test_no_circuit_opens_for_a_name(autojump_clock) -> None:
    made = policies(Engine(FOREIGN))
    for _ in range(12):
        with pytest.raises(EngineMisdirected):
            await analyze(made)
    assert not issubclass(EngineMisdirected, EngineUnavailable)
