"""Encryption at rest in the whole: planted words are in no byte that is stored, and everything still works."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Stack, build, running_stack
from tests.servers import Postgres, Redis, running
from tests.waiting import wait_until

PLANTED = ("zanzibar", "quokka", "wombat", "axolotl", "numbat", "narwhal", "okapi")
"""Parts of a column name, of a level, of a title, of notes, of a file name, of another file name and of a new name."""

ROWS = "zanzibar_pay,got_quokka,age\n" + "".join(
    f"{5 + 2 * (number % 2) + number % 7 / 3:.3f},{'quokka' if number % 2 else 'none'},{20 + number % 41}\n"
    for number in range(400)
)
OF_A_PIECE = {"Content-Type": "application/offset+octet-stream"}
MAPPING = {"outcome": "zanzibar_pay", "treatment": "got_quokka", "covariates": ["age"]}


def work(client: httpx.Client) -> dict[str, object]:
    """Use whatever stores something; return the report."""
    uploaded = client.post("/api/datasets", params={"name": "numbat.csv"}, content=ROWS.encode())
    assert uploaded.status_code == 201, uploaded.text
    dataset_id = uploaded.json()["dataset_id"]
    in_pieces(client)
    asked = {"dataset_id": dataset_id, "mapping": MAPPING}
    assert client.post("/api/roles/infer", json={"dataset_id": dataset_id}).status_code == 200
    assert client.post("/api/analyze/preview", json=asked).status_code == 200
    answer = client.post("/api/analyze/comprehensive", json=asked)
    assert answer.status_code == 200, answer.text
    report: dict[str, object] = answer.json()
    figures = report["figures"]
    assert isinstance(figures, dict)
    for url in figures.values():
        assert client.get(url).status_code == 200
    notes = {"title": "The wombat question", "notes": "axolotl " * 100}
    annotation = f"/api/analyses/{report['analysis_id']}/annotation"
    assert client.patch(annotation, json=notes).status_code == 200
    assert client.patch(f"/api/datasets/{dataset_id}", json={"name": "okapi.csv"}).status_code == 200
    again = client.post(f"/api/datasets/{dataset_id}/read", json={"header_row": 2})
    assert again.status_code in (201, 400), again.text
    # A job that fails with a problem that names a column.
    wrong = asked | {"mapping": MAPPING | {"outcome": "zanzibar_gone"}}
    job = client.post("/api/analyze/comprehensive", json=wrong, headers={"Prefer": "respond-async"})
    assert job.status_code in (202, 400, 422), job.text
    if job.status_code == 202:
        wait_until(lambda: client.get(job.headers["Location"]).json()["status"] == "failed")
    return report


def in_pieces(client: httpx.Client) -> None:
    content = ROWS.replace("quokka", "QUOKKA quokka").encode()
    upload = client.post("/api/uploads", json={"name": "narwhal.csv", "size_bytes": len(content)}).json()
    path = f"/api/uploads/{upload['upload_id']}"
    for start in (0, 3000):
        piece = content[start : 3000 if start == 0 else None]
        sent = client.patch(path, content=piece, headers=OF_A_PIECE | {"Upload-Offset": str(start)})
        assert sent.status_code == 200, sent.text
    assert client.post(f"{path}/dataset", json={}).status_code == 201
    # Another one stays unfinished.
    other = client.post("/api/uploads", json={"name": "narwhal2.csv", "size_bytes": len(content)}).json()
    path = f"/api/uploads/{other['upload_id']}"
    sent = client.patch(path, content=content[:5000], headers=OF_A_PIECE | {"Upload-Offset": "0"})
    assert sent.status_code == 200


def cqox_of(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the operator with the settings of the engine."""
    environment = {**os.environ, **stack.engine.environment}
    command = [Path(sys.executable).with_name("cqox"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@contextmanager
def started(stack: Stack) -> Iterator[None]:
    """Run both services, and end them in order."""
    stack.engine.start()
    stack.gateway.start()
    try:
        stack.engine.wait_ready()
        stack.gateway.wait_ready()
        yield
        stack.gateway.stop()
        stack.engine.stop()
    finally:
        stack.gateway.kill()
        stack.engine.kill()


def timeless(report: dict[str, object]) -> list[dict[str, object]]:
    estimates = report["estimates"]
    assert isinstance(estimates, list)
    return [{name: value for name, value in each.items() if name != "seconds"} for each in estimates]


def found_in(folder: Path) -> dict[str, list[str]]:
    """Return the planted words in the files of a folder, in any case and in two encodings."""
    found: dict[str, list[str]] = {}
    for path in folder.rglob("*"):
        try:
            content = path.read_bytes().lower() if path.is_file() else b""
        except FileNotFoundError:
            continue
        words = [word for word in PLANTED if word.encode() in content or word.encode("utf-16-le") in content]
        if words:
            found[str(path.relative_to(folder))] = words
    return found


def check_reading(client: httpx.Client, report: dict[str, object]) -> None:
    """Everything that was stored is read as it was."""
    path = f"/api/analyses/{report['analysis_id']}"
    again = client.get(path).json()
    assert again["estimates"] == report["estimates"]
    assert again["decision"] == report["decision"]
    assert client.get(f"{path}/annotation").json()["title"] == "The wombat question"
    (listed,) = client.get("/api/analyses", params={"search": "WOMBAT"}).json()["analyses"]
    assert (listed["dataset_name"], listed["outcome"]) == ("okapi.csv", "zanzibar_pay")
    assert listed["notes"].startswith("axolotl axolotl")
    assert client.get("/api/analyses", params={"search": "okapi"}).json()["analyses"]
    assert client.get("/api/analyses", params={"search": "unicorn"}).json()["analyses"] == []
    names = {each["name"] for each in client.get("/api/datasets").json()["datasets"]}
    assert {"okapi.csv", "narwhal.csv"} <= names
    dataset_id = str(report["dataset_id"])
    assert client.get(f"/api/datasets/{dataset_id}").json()["columns"][0]["name"] == "zanzibar_pay"
    assert client.get(f"/api/datasets/{dataset_id}/sheets").json()["original"] is True
    (looks,) = client.get(f"/api/datasets/{dataset_id}/looks").json()["questions"]
    assert (looks["outcome"], looks["treatment"], looks["analyses"]) == ("zanzibar_pay", "got_quokka", 1)
    assert "zanzibar_pay" in client.get(f"{path}/export.md").text


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


def test_what_was_plain_is_sealed_by_a_command_and_plain_again_by_another(tmp_path: Path) -> None:
    stack = build(tmp_path)
    with started(stack), stack.client() as client:
        report = work(client)
    data = tmp_path / "data"
    assert set(found_in(data)) >= {"results.sqlite"}
    stack.engine.environment["CQOX_KEYS"] = "file"
    # Uploads in pieces stay as they are for a day.
    shutil.rmtree(data / "partial")
    done = cqox_of(stack, "rekey")
    assert done.returncode == 0, done.stdout + done.stderr
    assert found_in(data) == {}
    with started(stack), stack.client() as client:
        check_reading(client, report)
        # Also while an engine serves.
        done = cqox_of(stack, "rekey", "--rotate")
        assert done.returncode == 0, done.stdout + done.stderr
        check_reading(client, report)
    assert "0 rows" not in done.stdout
    again = cqox_of(stack, "rekey")
    assert "default: 0 data sets and 0 rows written again." in again.stdout
    assert found_in(data) == {}
    done = cqox_of(stack, "rekey", "--plain")
    assert done.returncode == 0, done.stdout + done.stderr
    stack.engine.environment["CQOX_KEYS"] = "none"
    with started(stack), stack.client() as client:
        check_reading(client, report)
    refused = cqox_of(stack, "rekey")
    assert refused.returncode == 2
    assert "CQOX_KEYS is none" in refused.stderr


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
