"""Engines that share a database compute once what they are asked at once, whatever their cache does."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.e2e.engines import Engines, analyze, asking
from tests.servers import Postgres, Redis, running
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.xdist_group("servers")
ROUNDS = 12


@pytest.fixture
def late_redis() -> Iterator[Proxy]:
    with running(Redis()) as server, closing(Proxy(server.port)) as proxy:
        yield proxy


# The first is slow; the second is too late for the engines' own limit, so that nothing of it is ever heard.
@pytest.mark.parametrize("late_seconds", [0.2, 0.8])
def test_two_engines_with_a_slow_cache_compute_each_analysis_once(
    engines: Engines, postgres: Postgres, late_redis: Proxy, late_seconds: float
) -> None:
    url = postgres.fresh()
    pair = [engines.start(POSTGRES_URL=url, REDIS_URL=f"redis://127.0.0.1:{late_redis.port}/0") for _ in range(2)]
    for engine in pair:
        engine.wait_ready()
    late_redis.late_seconds = late_seconds
    twice = list[int]()

    def ask(number: int, seed: int) -> dict[str, object]:
        # Apart by about what one takes, so that the second looks while the first finishes.
        time.sleep(number * seed * 0.05)
        answer = analyze(pair[number], asking(seed))
        assert answer.status_code == 200, answer.text
        report: dict[str, object] = answer.json()
        return report

    with ThreadPoolExecutor(2) as threads:
        for seed in range(ROUNDS):
            one, two = threads.map(lambda number, seed=seed: ask(number, seed), range(2))
            assert one["estimates"] == two["estimates"]
            # How long each step took is measured: two computations never agree in it.
            if one["provenance"]["seconds"] != two["provenance"]["seconds"]:  # type: ignore[index]
                twice.append(seed)
    assert twice == []
