"""A job that was answered with 202 survives faults of store and engine; one that cannot be recorded is a 503."""

import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.engines import LONG, Engines, analyze, asking, get, wait_for_status
from tests.e2e.stack import Service
from tests.servers import Postgres
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("servers")
ASYNC = {"Prefer": "respond-async"}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The file of results takes no writes meanwhile."""
    with closing(sqlite3.connect(folder / "data/results.sqlite", isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 90000")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["type"]) == (503, "store-unavailable"), answer.text
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_job_that_a_stopped_database_cannot_record_is_refused_and_is_accepted_once_it_is_back(
    engines: Engines, postgres: Postgres
) -> None:
    engine = engines.start(POSTGRES_URL=postgres.fresh())
    engine.wait_ready()
    key = {"Idempotency-Key": "monday"}
    postgres.stop(signal.SIGQUIT)
    refused(analyze(engine, asking(1), **ASYNC))
    refused(analyze(engine, asking(1), **ASYNC, **key))
    synchronous = analyze(engine, asking(2))
    assert (synchronous.status_code, synchronous.json()["provenance"]["stored"]) == (200, False)
    postgres.start()
    wait_for_status(engine, "/health/ready", "ok")
    accepted = analyze(engine, asking(1), **ASYNC, **key)
    assert accepted.status_code == 202
    engine.kill()
    # Synchronous answers that were not stored went with the engine; the job did not.
    other = engines.start(**{name: engine.environment[name] for name in ("POSTGRES_URL",)})
    other.wait_ready()
    assert get(other, accepted.headers["Location"]).status_code == 200


def test_every_job_that_was_answered_202_is_known_after_the_engine_was_killed_at_once(
    engines: Engines, tmp_path: Path
) -> None:
    engine = engines.start()
    engine.wait_ready()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda seed: analyze(engine, asking(seed), **ASYNC), range(8)))
        accepted = [answer.headers["Location"] for answer in answers if answer.status_code == 202]
        engine.kill()
    assert accepted
    other = engines.start()
    other.wait_ready()
    for path in accepted:
        answer = get(other, path)
        assert (answer.status_code, answer.json()["status"] in ("succeeded", "interrupted")) == (200, True)


def test_a_store_that_takes_no_writes_refuses_jobs_within_its_time_and_leaves_none_behind(
    engines: Engines, tmp_path: Path
) -> None:
    engine = engines.start()
    engine.wait_ready()
    key = {"Idempotency-Key": "tuesday"}
    with locked(tmp_path):
        with ThreadPoolExecutor(3) as threads:
            for answer in threads.map(lambda _: analyze(engine, asking(1), **ASYNC, **key), range(3)):
                refused(answer)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{engine.url}/api/analyze/comprehensive", json=asking(2), headers=ASYNC, timeout=0.5, trust_env=False
            )
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: analyze(engine, asking(1), **ASYNC, **key), range(3)))
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    wait_for_status(engine, answers[0].headers["Location"], "succeeded")
    with closing(sqlite3.connect(tmp_path / "data/results.sqlite")) as reader:
        assert reader.execute("SELECT count(*) FROM jobs WHERE status = 'running'").fetchone() == (0,)


def ended_meanwhile(engine: Service, tmp_path: Path) -> list[str]:
    """Jobs that were accepted, and ended while the store took no writes."""
    jobs = [analyze(engine, LONG, **ASYNC).headers["Location"], analyze(engine, asking(7), **ASYNC).headers["Location"]]
    with locked(tmp_path):
        cancelled = httpx.delete(f"{engine.url}{jobs[0]}", timeout=30, trust_env=False)
        assert (cancelled.status_code, cancelled.json()["type"]) == (503, "store-unavailable")
        # Not deleted either, so that its end is not put back by what is recorded later.
        again = httpx.delete(f"{engine.url}{jobs[0]}", timeout=30, trust_env=False)
        assert (again.status_code, again.json()["type"]) == (503, "store-unavailable")
        assert get(engine, jobs[0]).json()["status"] == "cancelled"
        wait_for_status(engine, jobs[1], "succeeded")
    return jobs


def test_how_a_job_ended_while_the_store_took_no_writes_is_recorded_later(engines: Engines, tmp_path: Path) -> None:
    engine = engines.start()
    engine.wait_ready()
    jobs = ended_meanwhile(engine, tmp_path)
    with closing(sqlite3.connect(tmp_path / "data/results.sqlite")) as reader:
        wait_until(lambda: ("running",) not in reader.execute("SELECT status FROM jobs").fetchall())
    engine.kill()
    other = engines.start()
    other.wait_ready()
    assert [get(other, path).json()["status"] for path in jobs] == ["cancelled", "succeeded"]
    # Now that its end is recorded, the same request deletes the record, and says for the last time how it ended.
    deleted = httpx.delete(f"{other.url}{jobs[0]}", timeout=30, trust_env=False)
    assert (deleted.status_code, deleted.json()["status"]) == (200, "cancelled")
    assert get(other, jobs[0]).status_code == 404
    analysis = get(other, jobs[1]).json()["links"]["report"]
    assert get(other, analysis).status_code == 200


def test_an_engine_that_ends_records_what_it_could_not_before(engines: Engines, tmp_path: Path) -> None:
    engine = engines.start()
    engine.wait_ready()
    jobs = ended_meanwhile(engine, tmp_path)
    assert engine.stop() == 0
    other = engines.start()
    other.wait_ready()
    assert [get(other, path).json()["status"] for path in jobs] == ["cancelled", "succeeded"]


def test_a_job_that_was_seen_to_succeed_or_be_cancelled_is_so_after_a_kill_at_once(engines: Engines) -> None:
    engine = engines.start()
    engine.wait_ready()
    long = analyze(engine, LONG, **ASYNC).headers["Location"]
    short = analyze(engine, asking(3), **ASYNC).headers["Location"]
    wait_for_status(engine, short, "succeeded")
    assert httpx.delete(f"{engine.url}{long}", timeout=30, trust_env=False).json()["status"] == "cancelled"
    engine.kill()
    other = engines.start()
    other.wait_ready()
    assert get(other, short).json()["status"] == "succeeded"
    assert get(other, long).json()["status"] == "cancelled"
