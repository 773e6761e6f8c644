"""An engine on a disk that is full or takes no writes starts, reads and deletes, and is well again by itself."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.engines import analyze, asking, get, wait_for_status
from tests.e2e.stack import Service
from tests.servers.ports import free_port
from tests.servers.small_disk import SmallDisk
from tests.waiting import wait_until

MIB = 2**20
SIZE = 48 * MIB
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    made = SmallDisk(tmp_path / "disk", SIZE)
    try:
        yield made
    finally:
        made.close()


class Started:
    """Engines on the data directory of a disk, one after another.

    Attributes:
        reserve: the reserve of the disk; without one nothing is refused before the disk is full. The default if empty.
    """

    def __init__(self, disk: SmallDisk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder
        self.reserve = ""
        self.all: list[Service] = []

    def __call__(self) -> Service:
        port = free_port()
        variables = {
            "CQOX_DATA_DIR": str(self._folder / "disk/data"),
            "CQOX_ENGINE_PORT": str(port),
            # Originals of uploads make way for everything else, so that the disk would not be full for long.
            "CQOX_ORIGINALS_BYTES": "0",
        }
        if self.reserve:
            variables["CQOX_DISK_RESERVE_BYTES"] = self.reserve
        log = self._folder / f"engine{len(self.all)}.log"
        engine = Service("engine", port, variables, log, around=self._disk.around)
        engine.start()
        self.all.append(engine)
        engine.wait_ready()
        return engine


@pytest.fixture
def start(disk: SmallDisk, tmp_path: Path) -> Iterator[Started]:
    made = Started(disk, tmp_path)
    try:
        yield made
    finally:
        for engine in made.all:
            engine.kill()


def upload(engine: Service, seed: int, rows: int = 200_000) -> httpx.Response:
    # A table that does not compress.
    state, lines = seed + 1, ["id,w,y"]
    for number in range(rows):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        lines.append(f"{number},{state >> 63},{state >> 12}")
    url = f"{engine.url}/api/datasets?name={seed}.csv"
    return httpx.post(url, content="\n".join(lines), timeout=60, trust_env=False)


def delete(engine: Service, path: str) -> httpx.Response:
    return httpx.delete(f"{engine.url}{path}", timeout=30, trust_env=False)


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"]


def no_traceback(engine: Service) -> None:
    assert "Traceback" not in engine.log


def used(start: Started) -> tuple[Service, str, str]:
    """An engine with a data set and a report, both by their paths."""
    engine = start()
    # Large enough that a disk without it keeps its reserve.
    dataset = upload(engine, 1, rows=600_000)
    assert dataset.status_code == 201, dataset.text
    report = analyze(engine, asking(1)).json()
    assert report["provenance"]["stored"] is True
    assert get(engine, "/health/ready").json()["status"] == "ok"
    return engine, f"/api/datasets/{dataset.json()['dataset_id']}", f"/api/analyses/{report['analysis_id']}"


@pytest.mark.parametrize(
    ("end", "ballast", "reserve"), [("stopped", False, "0"), ("stopped", False, ""), ("killed", True, "")]
)
def test_an_engine_that_starts_on_a_full_disk_can_clear_it_and_is_well_again_without_a_restart(
    start: Started, disk: SmallDisk, end: str, ballast: bool, reserve: str
) -> None:
    start.reserve = reserve
    engine, dataset, report = used(start)
    engine.stop() if end == "stopped" else engine.kill()
    if not ballast:
        (disk.seen / "data/ballast").unlink()
    disk.fill()
    engine = start()
    health = get(engine, "/health/ready")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert "full" in health.json()["degraded"]["disk"]
    assert get(engine, "/health/live").status_code == 200
    # What is there can be read, and analysed; the answer says that it is not kept, or that it is.
    assert get(engine, dataset).status_code == 200
    assert get(engine, report).status_code == 200
    assert get(engine, "/api/analyses").status_code == 200
    assert get(engine, "/api/datasets").status_code == 200
    assert analyze(engine, asking(2)).status_code == 200
    # What needs room says so, and that waiting does not help.
    refused = upload(engine, 2)
    assert problem(refused) == (507, "insufficient-storage")
    assert "Retry-After" not in refused.headers
    assert "Delete data sets" in refused.json()["detail"]
    assert delete(engine, dataset).status_code == 204
    assert get(engine, dataset).status_code == 404
    again = upload(engine, 3, rows=20_000)
    assert again.status_code == 201, again.text
    assert wait_for_status(engine, "/health/ready", "ok")["degraded"] == {}
    assert (
        wait_for_status(engine, analyze(engine, asking(4), **ASYNC).headers["Location"], "succeeded")["status"]
        == "succeeded"
    )
    assert analyze(engine, asking(5)).json()["provenance"]["stored"] is True
    no_traceback(engine)
    engine.kill()
    engine = start()
    assert get(engine, dataset).status_code == 404
    assert get(engine, again.headers["Location"]).status_code == 200
    assert get(engine, report).status_code == 200


@pytest.mark.parametrize("restarted", [False, True])
def test_reports_and_jobs_are_deleted_on_a_full_disk(start: Started, disk: SmallDisk, restarted: bool) -> None:
    engine, dataset, report = used(start)
    job = analyze(engine, asking(9), **ASYNC).headers["Location"]
    wait_for_status(engine, job, "succeeded")
    disk.fill()
    if restarted:
        engine.kill()
        engine = start()
    for path, status in ((report, 204), (job, 200), (f"{dataset}?erase=reports", 204)):
        assert delete(engine, path).status_code == status
        assert get(engine, path.partition("?")[0]).status_code == 404
    disk.clear()
    assert wait_for_status(engine, "/health/ready", "ok")["degraded"] == {}
    no_traceback(engine)
    engine.kill()
    engine = start()
    assert [get(engine, path).status_code for path in (report, job, dataset)] == [404] * 3


def test_a_disk_that_fills_up_under_an_engine_refuses_jobs_and_is_cleared_by_it(
    start: Started, disk: SmallDisk
) -> None:
    start.reserve = "0"
    engine, dataset, _ = used(start)
    disk.fill()
    # The log of the database may have room left within itself, which is used up here.
    answers = [analyze(engine, asking(seed), **ASYNC) for seed in range(10, 40)]
    assert {answer.status_code for answer in answers} <= {202, 507}
    accepted = [answer.headers["Location"] for answer in answers if answer.status_code == 202]
    assert {analyze(engine, asking(seed)).status_code for seed in range(50, 60)} == {200}
    for path in accepted:
        wait_for_status(engine, path, "succeeded")
    engine.kill()
    engine = start()
    assert [get(engine, path).status_code for path in accepted] == [200] * len(accepted)
    assert delete(engine, dataset).status_code == 204
    assert wait_for_status(engine, "/health/ready", "ok")["degraded"] == {}
    assert upload(engine, 3, rows=20_000).status_code == 201
    no_traceback(engine)


def test_a_new_engine_on_a_disk_that_others_have_filled_starts_and_has_everything_once_there_is_room(
    start: Started, disk: SmallDisk
) -> None:
    disk.fill()
    engine = start()
    assert get(engine, "/health/ready").json()["status"] == "degraded"
    assert problem(upload(engine, 1, rows=100)) == (507, "insufficient-storage")
    disk.clear()
    assert wait_for_status(engine, "/health/ready", "ok")["degraded"] == {}
    wait_until(lambda: get(engine, "/api/datasets/test").status_code == 200)
    assert upload(engine, 1, rows=100).status_code == 201
    assert analyze(engine, asking(1)).json()["provenance"]["stored"] is True
    assert (disk.seen / "data/ballast").stat().st_size == MIB
    no_traceback(engine)


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_an_engine_on_a_disk_that_takes_no_writes_reads_and_is_well_once_it_does(
    start: Started, disk: SmallDisk, end: str
) -> None:
    engine, dataset, report = used(start)
    engine.stop() if end == "stopped" else engine.kill()
    disk.remount("ro")
    engine = start()
    degraded = get(engine, "/health/ready").json()["degraded"]
    assert "read-only" in degraded["disk"]
    assert wait_for_status(engine, "/health/ready", "degraded")["degraded"].keys() == {"disk", "results"}
    assert get(engine, dataset).status_code == 200
    assert get(engine, report).status_code == 200
    answer = analyze(engine, asking(2))
    assert (answer.status_code, answer.json()["provenance"]["stored"]) == (200, False)
    mine = analyze(
        engine, asking(3) | {"dataset_id": dataset.rpartition("/")[2], "mapping": {"y": "y", "treatment": "w"}}
    )
    assert (mine.status_code, mine.json()["provenance"]["stored"]) == (200, False)
    for refused in (upload(engine, 2, rows=100), delete(engine, dataset), analyze(engine, asking(4), **ASYNC)):
        assert problem(refused) == (503, "store-unavailable")
    disk.remount("rw")
    assert wait_for_status(engine, "/health/ready", "ok")["degraded"] == {}
    assert upload(engine, 2, rows=100).status_code == 201
    assert analyze(engine, asking(4), **ASYNC).status_code == 202
    assert delete(engine, dataset).status_code == 204
    path = f"/api/analyses/{answer.json()['analysis_id']}"
    wait_until(lambda: get(engine, path).json()["provenance"]["stored"])
    no_traceback(engine)
