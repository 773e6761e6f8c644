"""Encryption at rest in the whole: planted words are in no byte that is stored, and everything still works."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.planted import MAPPING, PLANTED, check_reading, cqox_of, found_in, timeless, work
from tests.e2e.stack import Stack, build, running_stack
from tests.servers import Postgres, Redis, running
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sealed")


@pytest.fixture(scope="module")
def used(folder: Path) -> Iterator[tuple[Stack, dict[str, object]]]:
    (folder / "keys").mkdir()
    with running_stack(folder, CQOX_KEYS="file", CQOX_KEY_RING=str(folder / "keys" / "ring.json")) as stack:
        with stack.client() as client:
            report = work(client)
        yield stack, report


def test_planted_words_are_in_no_file_and_everything_is_read(used: tuple[Stack, dict[str, object]]) -> None:
    stack, report = used
    with stack.client() as client:
        check_reading(client, report)
    assert found_in(Path(stack.engine.environment["CQOX_DATA_DIR"])) == {}
    logs = (stack.engine.log + stack.gateway.log).lower()
    assert [word for word in PLANTED if word in logs] == []


def test_the_estimates_are_those_of_plain_storage(used: tuple[Stack, dict[str, object]], tmp_path: Path) -> None:
    _, report = used
    with running_stack(tmp_path) as stack, stack.client() as client:
        plain = work(client)
    # The same words are found where nothing is sealed: the search above could have found them.
    words = {word for found in found_in(tmp_path / "data").values() for word in found}
    assert words >= {"zanzibar", "quokka", "wombat", "axolotl", "numbat", "narwhal", "okapi"}
    assert timeless(plain) == timeless(report)
    assert plain["analysis_id"] == report["analysis_id"]


def test_after_a_kill_a_restart_reads_everything_and_other_keys_read_nothing(
    used: tuple[Stack, dict[str, object]], folder: Path
) -> None:
    stack, report = used
    engine = stack.engine
    engine.kill()
    for change, reason in (
        ({"CQOX_KEYS": "none"}, "has no key ring"),
        ({"CQOX_KEY_RING": str(folder / "other.json")}, "no longer has"),
    ):
        environment = {**os.environ, **engine.environment, **change}
        done = subprocess.run(
            [sys.executable, "-m", "services.engine"], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2
        assert reason in done.stderr + done.stdout
    engine.start()
    engine.wait_ready()
    with stack.client() as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        check_reading(client, report)


def test_the_commands_of_the_operator_read_what_is_sealed(
    used: tuple[Stack, dict[str, object]], tmp_path: Path
) -> None:
    stack, report = used
    exported = cqox_of(stack, "db", "export", str(tmp_path / "all.jsonl"))
    assert exported.returncode == 0, exported.stderr
    assert "zanzibar_pay" in (tmp_path / "all.jsonl").read_text()
    assert "The wombat question" in (tmp_path / "all.jsonl").read_text()
    shown = cqox_of(stack, "report", str(report["analysis_id"]), "--format", "json")
    assert shown.returncode == 0, shown.stderr
    assert "zanzibar_pay" in shown.stdout
    checked = cqox_of(stack, "db", "check")
    assert checked.returncode == 0, checked.stdout


def test_an_engine_with_logins_needs_the_setting(tmp_path: Path) -> None:
    stack = build(tmp_path, CQOX_AUTH="keys", CQOX_HOP_KEY="a-secret-of-the-two-services-of-this-test", CQOX_KEYS="")
    done = subprocess.run(
        [sys.executable, "-m", "services.engine"],
        env={**os.environ, **stack.engine.environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "CQOX_KEYS" in done.stderr + done.stdout


@pytest.mark.xdist_group("servers")
def test_planted_words_are_in_no_byte_of_postgresql_and_redis(tmp_path: Path) -> None:
    with running(Postgres()) as postgres, running(Redis()) as redis:
        environment = {"POSTGRES_URL": postgres.fresh(), "REDIS_URL": redis.url, "CQOX_KEYS": "file"}
        with running_stack(tmp_path, **environment) as stack, stack.client() as client:
            report = work(client)
            check_reading(client, report)
            # From the cache of Redis as well.
            again = client.post(
                "/api/analyze/comprehensive", json={"dataset_id": report["dataset_id"], "mapping": MAPPING}
            )
            assert again.json()["provenance"]["cache"] == "hit"
        postgres.execute("CHECKPOINT")
        assert found_in(postgres.data) == {}
        with redis.client() as connection:
            keys = list(connection.scan_iter())
            values = b"".join(bytes(connection.dump(key) or b"") + bytes(key) for key in keys).lower()
        assert any(b"report" in bytes(key) for key in keys)
        assert [word for word in PLANTED if word.encode() in values] == []
        schema = environment["POSTGRES_URL"].rpartition("%3D")[2]
        estimates = postgres.execute(f"SELECT name, estimate FROM {schema}.estimates WHERE estimate IS NOT NULL")
        shown = {(each["name"], each["estimate"]) for each in report["estimates"] if each["estimate"] is not None}
        assert set(estimates) == shown
        assert found_in(tmp_path / "data") == {}
