"""Engines killed at random moments: what they have acknowledged is there, once, and readable."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.engines import Engines, analyze, asking, get, listed
from tests.e2e.stack import Service
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("servers")


@pytest.fixture(params=["embedded", "servers"])
def backend(request: pytest.FixtureRequest) -> dict[str, str]:
    """SQLite and memory, or PostgreSQL and Redis."""
    if request.param == "embedded":
        return {}
    postgres, redis = request.getfixturevalue("postgres"), request.getfixturevalue("redis")
    return {"POSTGRES_URL": postgres.fresh(), "REDIS_URL": redis.url}


class Clients:
    """They ask for one analysis after the other until their engine is gone, and remember what it acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, object] = {}
        self.asked = 0
        self._lock = threading.Lock()

    def ask(self, engine: Service) -> None:
        while True:
            with self._lock:
                self.asked += 1
                seed = self.asked
            try:
                answer = analyze(engine, asking(seed))
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text
            report = answer.json()
            if report["provenance"]["stored"]:
                self.acknowledged[report["analysis_id"]] = report["estimates"]


def kill_while_they_ask(engines: Engines, backend: dict[str, str], *, analyses: int, kills: int) -> Clients:
    """Engines that are killed, one after the other, at random moments while clients ask for so many analyses."""
    clients, rng = Clients(), random.Random(3)
    for number in range(kills):
        engine = engines.start(**backend)
        engine.wait_ready()
        goal = analyses * (number + 1) // kills
        with ThreadPoolExecutor(3) as threads:
            asking_now = [threads.submit(clients.ask, engine) for _ in range(3)]
            wait_until(lambda goal=goal: len(clients.acknowledged) >= goal)
            time.sleep(rng.random() / 5)
            engine.kill()
        for one in asking_now:
            one.result()
    return clients


def check(engines: Engines, backend: dict[str, str], clients: Clients) -> None:
    engine = engines.start(**backend)
    engine.wait_ready()
    for analysis_id, estimates in clients.acknowledged.items():
        answer = get(engine, f"/api/analyses/{analysis_id}")
        assert answer.status_code == 200
        assert answer.json()["estimates"] == estimates
    found = listed(engine)
    assert len(found) == len(set(found))
    assert set(clients.acknowledged) <= set(found)
    # Of what was never acknowledged there is at most what was being asked for at a kill.
    assert len(found) <= clients.asked


def test_every_acknowledged_analysis_is_there_once_after_kills_at_random(
    engines: Engines, backend: dict[str, str]
) -> None:
    clients = kill_while_they_ask(engines, backend, analyses=30, kills=2)
    assert len(clients.acknowledged) >= 30
    check(engines, backend, clients)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_acknowledged_analysis_of_two_hundred_is_there_once_after_kills_at_random(
    engines: Engines, backend: dict[str, str]
) -> None:
    clients = kill_while_they_ask(engines, backend, analyses=200, kills=12)
    assert len(clients.acknowledged) >= 200
    print(f"{clients.asked} asked, {len(clients.acknowledged)} acknowledged, 12 kills")
    check(engines, backend, clients)
