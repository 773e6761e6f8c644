"""A running engine with a failing disk, and with requests that could block its event loop."""

import json
import os
import shutil
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import httpx
import pytest

ASKED = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
PLAIN = {"estimators": ["difference_in_means"]}
CSV = b"id,w,y\n" + b"".join(b"%d,%d,%d\n" % (number, number % 2, number * 7 % 13) for number in range(60))


def asked(seed: int = 0, **options: object) -> dict[str, object]:
    return {**ASKED, "options": {**PLAIN, "seed": seed, **options}}


@pytest.fixture
def engine(start):
    """The engine's process, with an HTTP client as `client`."""
    service = start("-m", "services.engine", CQOX_LOG_FORMAT="json")
    with service.ready_client() as client:
        service.client = client
        yield service


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"]


def loop_seconds(process: int) -> float:
    """Return the CPU seconds of a process's event loop, its main thread, which do not depend on other load."""
    after_name = Path(f"/proc/{process}/task/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def test_no_body_holds_up_the_others(engine) -> None:
    bodies = [
        json.dumps({**ASKED, "mapping": {**ASKED["mapping"], "covariates": [f"c{i}" for i in range(60_000)]}}),
        '{"dataset_id":"test","mapping":{"edges":[' + "{}," * 1_300_000 + "{}]}}",
        '{"dataset_id":"test","mapping":[' + '{"role":"x","column":"y"},' * 150_000 + "{}]}",
        json.dumps({**ASKED, "options": {"estimators": ["aipw"] * 100_000}}),
        "{" + ",".join(f'"f{number}":1' for number in range(300_000)) + "}",
        "[" * 90 + "[]" * 20 + '"' + '\\"' * 2_000_000,
    ]
    statuses: list[tuple[int, str]] = []

    def ask() -> None:
        for body in bodies:
            headers = {"Content-Type": "application/json"}
            answer = httpx.post(f"{engine.url}/api/analyze/comprehensive", content=body, headers=headers, timeout=60)
            statuses.append(problem(answer))

    asking = threading.Thread(target=ask)
    asking.start()
    most = 0.0
    while asking.is_alive():
        began = loop_seconds(engine.process.pid)
        assert engine.client.get("/health/live").status_code == 200
        most = max(most, loop_seconds(engine.process.pid) - began)
    asking.join()
    assert statuses == [(400, "invalid-request")] * len(bodies)
    assert most < 0.25


def test_matching_thousands_of_names_against_a_wide_table_does_not_block_other_requests(engine) -> None:
    names = [f"a rather long name of a column of which there are many: the {number:04}th" for number in range(3_000)]
    wide = ",".join(["w", "y", *names]) + "\n" + "".join("1,2" + ",3" * len(names) + "\n" for _ in range(3))
    dataset = engine.client.post("/api/datasets?name=wide.csv", content=wide).json()["dataset_id"]
    mapping = {"y": "y", "treatment": "w", "covariates": [*names, "a rather long name of a column that is none"]}
    for headers in ({"Prefer": "respond-async"}, {"Accept": "text/event-stream"}):
        answer = engine.client.post(
            "/api/analyze/comprehensive", json={"dataset_id": dataset, "mapping": mapping}, headers=headers
        )
        assert problem(answer) == (400, "invalid-request")
        assert answer.json()["field"] == "mapping.covariates"


def test_a_disk_that_takes_nothing_is_a_503_in_one_line_and_health_says_so(engine, tmp_path: Path) -> None:
    shutil.rmtree(engine_folder := tmp_path / "data" / "uploads")
    answer = engine.client.post("/api/datasets?name=a.csv", content=CSV)
    assert problem(answer) == (503, "store-unavailable")
    assert "The data directory is missing" in answer.json()["detail"]
    assert str(engine_folder) not in answer.text
    health = engine.client.get("/api/health").json()
    assert health["status"] == "degraded"
    assert "The data directory is missing" in health["degraded"]["disk"]
    assert engine.client.post("/api/analyze/comprehensive", json=asked()).json()["provenance"]["stored"] is True
    assert not any("Traceback" in line or '"exception"' in line for line in engine.lines)


def test_a_figure_that_cannot_be_kept_is_answered_all_the_same(engine, tmp_path: Path) -> None:
    report = engine.client.post("/api/analyze/comprehensive", json=asked()).json()
    shutil.rmtree(tmp_path / "data" / "figures")
    (tmp_path / "data" / "figures").touch()
    for _ in range(3):
        answer = engine.client.get(next(iter(report["figures"].values())))
        assert (answer.status_code, answer.content[:4]) == (200, b"<svg")
    lines = [line for line in engine.lines if "rendered and could not be stored" in line]
    assert len(lines) == 1


def test_a_removed_result_file_is_recreated_with_the_existing_data_sets(engine, tmp_path: Path) -> None:
    client = engine.client
    dataset = client.post("/api/datasets?name=a.csv", content=CSV).json()["dataset_id"]
    first = client.post("/api/analyze/comprehensive", json=asked(1)).json()
    for path in (tmp_path / "data").glob("results.sqlite*"):
        path.unlink()
    kept = client.post("/api/analyze/comprehensive", json=asked(2)).json()
    assert kept["provenance"]["stored"] is True
    again = client.post("/api/analyze/comprehensive", json=asked(1)).json()
    assert (again["provenance"]["stored"], again["provenance"]["cache"]) == (True, "miss")
    listed = {each["analysis_id"] for each in client.get("/api/analyses").json()["analyses"]}
    assert listed == {kept["analysis_id"], first["analysis_id"]}
    names = {each["dataset_id"] for each in client.get("/api/datasets").json()["datasets"]}
    assert {"test", "mini_retail", dataset} <= names


def test_what_was_lost_with_the_whole_directory_is_not_said_to_be_stored(engine, tmp_path: Path) -> None:
    engine.client.post("/api/analyze/comprehensive", json=asked(1))
    shutil.rmtree(tmp_path / "data")
    for seed in (1, 2):
        answer = engine.client.post("/api/analyze/comprehensive", json=asked(seed))
        assert answer.status_code == 503 or answer.json()["provenance"]["stored"] is False
    health = engine.client.get("/api/health").json()
    assert {"disk", "results"} <= health["degraded"].keys()
    assert engine.stop(signal.SIGTERM) == 0
    assert not any("Traceback" in line or '"exception"' in line for line in engine.lines)


def test_a_built_in_data_set_that_is_damaged_is_there_at_the_next_request(engine, tmp_path: Path) -> None:
    (tmp_path / "data/datasets/test/table.parquet").write_bytes(b"x" * 100)
    assert engine.client.post("/api/analyze/comprehensive", json=asked(1)).status_code == 200
    shutil.rmtree(tmp_path / "data/datasets/test")
    assert engine.client.post("/api/roles/infer", json={"dataset_id": "test"}).status_code == 200


def test_an_engine_that_is_asked_directly_says_how_more_time_can_be_had(engine) -> None:
    slow = {**ASKED, "options": {"estimators": ["dml_irm_ate"], "repetitions": 90_000}}
    slow["mapping"] = {**ASKED["mapping"], "covariates": ["x1", "x2"]}
    for accept in ("application/json", "text/event-stream"):
        headers = {"X-Request-Timeout-Ms": "400", "Accept": accept}
        answer = engine.client.post("/api/analyze/comprehensive", json=slow, headers=headers)
        assert "The deadline of 0.4 s has passed. The request asked for no more: X-Request-Timeout-Ms" in answer.text


def test_numbers_that_overflow_are_no_fault_of_the_engine(engine) -> None:
    for number, size in enumerate(("1.7e308", "1e200", "1e-310")):
        rows = "".join(f"{row},{row % 2},{'-' * (row % 3 == 0)}{size}\n" for row in range(50))
        uploaded = engine.client.post(f"/api/datasets?name={number}.csv", content="id,w,y\n" + rows)
        assert uploaded.status_code == 201
        body = {**ASKED, "dataset_id": uploaded.json()["dataset_id"]}
        answer = engine.client.post("/api/analyze/comprehensive", json=body)
        assert answer.status_code in (200, 422)
        assert "Infinity" not in answer.text


@pytest.mark.parametrize("below", ["file", "file/data", "/proc/nope"])
def test_an_engine_without_a_usable_directory_ends_with_one_line(start, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    service = start("-m", "services.engine", CQOX_DATA_DIR=str(tmp_path / below))
    assert service.end() == 2
    assert len(service.lines) == 1
    assert service.lines[0].startswith(f"engine: the data directory {tmp_path / below} cannot be used")
    assert service.lines[0].endswith("choose a writable one with CQOX_DATA_DIR")


def test_an_engine_sets_a_damaged_file_of_results_aside_and_goes_on(start, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/results.sqlite").write_bytes(b"\xff" * 16_384)
    service = start("-m", "services.engine")
    with httpx.Client(base_url=service.url, trust_env=False, timeout=30) as client:
        report = client.post("/api/analyze/comprehensive", json=asked()).json()
        assert report["provenance"]["stored"] is True
    assert len(list((tmp_path / "data").glob("results.sqlite.damaged-*"))) == 1
    service.wait_line("file is not a database. It was set aside as results.sqlite.damaged-")


def test_an_engine_whose_file_of_results_is_damaged_within_keeps_what_can_be_read_and_goes_on(
    engine, tmp_path: Path
) -> None:
    def analyze(seed: int) -> dict[str, object]:
        return engine.client.post("/api/analyze/comprehensive", json=asked(seed)).json()

    known = [analyze(seed)["analysis_id"] for seed in range(12)]
    path = tmp_path / "data/results.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT pageno FROM dbstat WHERE name = 'reports' AND pagetype = 'leaf' ORDER BY pageno"
        (number,) = connection.execute(query).fetchone()
    with path.open("r+b") as file:
        file.seek((number - 1) * 4096)
        file.write(b"\xff" * 4096)
    # From the memory of the engine, until the damage is met.
    statuses = [engine.client.get(f"/api/analyses/{identity}").status_code for identity in known]
    assert statuses == [200] * len(known)
    assert analyze(99)["provenance"]["stored"] is True
    assert engine.client.get("/api/analyses").status_code == 200
    statuses = [engine.client.get(f"/api/analyses/{identity}").status_code for identity in known]
    assert set(statuses) <= {200, 404}
    assert [analyze(seed)["provenance"]["stored"] for seed in range(12)] == [True] * 12
    assert engine.client.get("/health/ready").json()["degraded"] == {}
