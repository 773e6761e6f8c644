"""The worker of a queue as a process; it and its Redis are killed and started again."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.processes import Program, running
from tests.servers.redis import Redis
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("servers")

_NEVER = 3600.0
_DURABLE = {"appendonly": "yes", "appendfsync": "always"}


@pytest.fixture
def redis() -> Iterator[Redis]:
    server = Redis()
    try:
        server.start(**_DURABLE)
        yield server
    finally:
        server.close()


def job(name: str, seconds: float) -> str:
    return json.dumps({"id": name, "seconds": seconds})


def push(redis: Redis, seconds: float, *names: str) -> None:
    with redis.client() as client:
        client.lpush("jobs", *[job(name, seconds) for name in names])


def left(redis: Redis) -> list[int]:
    """Return how many jobs wait, are taken, and have failed."""
    with redis.client() as client:
        return [client.llen(name) for name in ("jobs", "jobs:one", "jobs:failed")]


def said(worker: Program, word: str) -> list[object]:
    lines = [json.loads(line) for line in worker.printed().splitlines()]
    return [line[word] for line in lines if word in line]


def worker_of(redis: Redis, folder: Path) -> tuple[Path, str, str, str, str]:
    return folder, "queue_worker.py", redis.url, "--name", "one"


def test_a_worker_that_is_asked_to_stop_finishes_its_job_and_begins_no_other(redis: Redis, tmp_path: Path) -> None:
    push(redis, 0.5, "a", "b", "c")
    with running(*worker_of(redis, tmp_path)) as worker:
        wait_until(lambda: said(worker, "begun"), failure=worker.log)
        assert worker.ended(signal.SIGTERM) == 0, worker.log()
        done = said(worker, "done")
        assert (said(worker, "begun"), said(worker, "cut")) == (done, [[]])
    assert left(redis) == [3 - len(done), 0, 0]


def test_a_job_that_outlasts_the_grace_is_put_back(redis: Redis, tmp_path: Path) -> None:
    push(redis, _NEVER, "a")
    with running(*worker_of(redis, tmp_path), "--grace", "0.1") as worker:
        wait_until(lambda: said(worker, "begun"), failure=worker.log)
        assert worker.ended(signal.SIGTERM) == 0, worker.log()
        assert said(worker, "cut") == [[job("a", _NEVER)]]
    assert left(redis) == [1, 0, 0]


def test_the_job_of_a_killed_worker_is_done_when_it_is_started_again(redis: Redis, tmp_path: Path) -> None:
    push(redis, _NEVER, "a")
    push(redis, 0.0, "b")
    with running(*worker_of(redis, tmp_path)) as worker:
        wait_until(lambda: said(worker, "begun"), failure=worker.log)
        worker.ended(signal.SIGKILL)
    assert left(redis) == [1, 1, 0]
    with redis.client() as client:
        client.lset("jobs:one", 0, job("a", 0.0))  # the second time it is a short one
    with running(*worker_of(redis, tmp_path)) as worker:
        wait_until(lambda: left(redis) == [0, 0, 0], failure=worker.log)
        assert said(worker, "done") == ["a", "b"]


def test_no_job_is_lost_with_a_redis_that_is_killed_and_comes_back(redis: Redis, tmp_path: Path) -> None:
    push(redis, 0.5, "a", "b")
    with running(*worker_of(redis, tmp_path)) as worker:
        wait_until(lambda: said(worker, "begun"), failure=worker.log)
        redis.stop()  # the end of the job in hand cannot be noted: it is done again
        wait_until(lambda: said(worker, "waiting"), failure=worker.log)
        redis.start(**_DURABLE)
        wait_until(lambda: left(redis) == [0, 0, 0], failure=worker.log)
        assert set(said(worker, "done")) == {"a", "b"}
        before = len(said(worker, "waiting"))
        redis.stop()
        wait_until(lambda: len(said(worker, "waiting")) > before, failure=worker.log)
        assert worker.ended(signal.SIGTERM) == 0, worker.log()


def test_a_job_that_fails_is_put_aside(redis: Redis, tmp_path: Path) -> None:
    with redis.client() as client:
        client.lpush("jobs", "no JSON")
    push(redis, 0.0, "b")
    with running(*worker_of(redis, tmp_path)) as worker:
        wait_until(lambda: left(redis) == [0, 0, 1], failure=worker.log)
        assert said(worker, "done") == ["b"]
