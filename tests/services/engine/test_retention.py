"""Deletion, listing of jobs and the disk reserve of a running engine."""

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx

from cqox.contract import JobListing
from tests.servers.small_disk import SmallDisk
from tests.waiting import wait_until

ASKED = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
CSV = b"id,w,y\n" + b"".join(b"%d,%d,%d\n" % (number, number % 2, number * 7 % 13) for number in range(60))
ANALYZE = "/api/analyze/comprehensive"
ASYNC = {"Prefer": "respond-async"}


def asked(seed: int = 0, dataset_id: str = "test", **options: object) -> dict[str, object]:
    plain = {"estimators": ["difference_in_means"], "seed": seed}
    return {**ASKED, "dataset_id": dataset_id, "options": {**plain, **options}}


LONG = {
    **asked(estimators=["dml_irm_ate"], repetitions=50_000),
    "mapping": {**ASKED["mapping"], "covariates": ["x1", "x2"]},
}


def ended(client: httpx.Client, path: str) -> dict[str, object]:
    return wait_until(lambda: (job := client.get(path).json())["status"] != "running" and job)


def free_bytes(folder: Path) -> int:
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize


def test_a_deleted_analysis_is_gone_with_its_figures_and_computed_again_when_it_is_asked_for(engine, tmp_path) -> None:
    report = engine.post(ANALYZE, json=asked()).json()
    path, figure = f"/api/analyses/{report['analysis_id']}", next(iter(report["figures"].values()))
    assert engine.get(figure).status_code == 200
    assert (tmp_path / "data/figures" / report["analysis_id"]).is_dir()
    gone = engine.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    for request in (("GET", path), ("DELETE", path), ("GET", figure)):
        answer = engine.request(*request)
        assert (answer.status_code, answer.json()["type"]) == (404, "not-found")
    assert engine.get("/api/analyses").json()["analyses"] == []
    assert not (tmp_path / "data/figures" / report["analysis_id"]).exists()
    again = engine.post(ANALYZE, json=asked()).json()
    assert again["provenance"]["cache"] == "miss"
    assert again["estimates"][0]["estimate"] == report["estimates"][0]["estimate"]


def test_what_was_deleted_is_no_longer_in_any_file(engine, tmp_path) -> None:
    content = CSV.replace(b"id,w,y", b"id,w,a_name_found_nowhere_else")
    dataset_id = engine.post("/api/datasets?name=a.csv", content=content).json()["dataset_id"]
    body = {**asked(dataset_id=dataset_id), "mapping": {"y": "a_name_found_nowhere_else", "treatment": "w"}}
    assert engine.post(ANALYZE, json=body).status_code == 200
    job = engine.post(ANALYZE, json=body, headers=ASYNC).headers["Location"]
    ended(engine, job)

    def found() -> list[str]:
        files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
        return [path.name for path in files if b"a_name_found_nowhere_else" in path.read_bytes()]

    assert found()
    assert engine.delete(f"/api/datasets/{dataset_id}?erase=reports").status_code == 204
    assert found() == []
    assert engine.get(job).status_code == 404
    assert engine.get("/api/jobs", params={"dataset_id": dataset_id}).json()["jobs"] == []


def test_deleted_reports_give_their_room_back_to_the_disk(engine, tmp_path) -> None:
    keys = [engine.post(ANALYZE, json=asked(seed)).json()["analysis_id"] for seed in range(30)]
    path = tmp_path / "data/results.sqlite"

    def size() -> int:
        return sum(each.stat().st_size for each in path.parent.glob("results.sqlite*"))

    full = size()
    for key in keys:
        assert engine.delete(f"/api/analyses/{key}").status_code == 204
    assert size() < full / 3


def test_what_else_a_data_set_takes_along_is_a_choice(engine) -> None:
    dataset_id = engine.post("/api/datasets?name=a.csv", content=CSV).json()["dataset_id"]
    key = engine.post(ANALYZE, json=asked(dataset_id=dataset_id)).json()["analysis_id"]
    wrong = engine.delete(f"/api/datasets/{dataset_id}?erase=all")
    assert (wrong.status_code, wrong.json()["choices"]) == (400, ["reports"])
    assert engine.delete(f"/api/datasets/{dataset_id}").status_code == 204
    assert engine.get(f"/api/analyses/{key}").status_code == 200
    assert engine.delete(f"/api/datasets/{dataset_id}?erase=reports").status_code == 204
    assert engine.get(f"/api/analyses/{key}").status_code == 404
    assert engine.delete(f"/api/datasets/{dataset_id}?erase=reports").status_code == 404
    assert engine.delete("/api/datasets/test?erase=reports").status_code == 400


def test_jobs_are_listed_cancelled_and_deleted(engine) -> None:
    done = engine.post(ANALYZE, json=asked(1), headers=ASYNC).headers["Location"]
    ended(engine, done)
    failed = {**asked(), "mapping": {**ASKED["mapping"], "pscore": "x1"}}
    wrong = engine.post(ANALYZE, json=failed, headers=ASYNC).headers["Location"]
    ended(engine, wrong)
    runs = engine.post(ANALYZE, json=LONG, headers=ASYNC).headers["Location"]
    listing = engine.get("/api/jobs").json()
    JobListing.model_validate(listing)
    assert [job["links"]["self"] for job in listing["jobs"]] == [runs, wrong, done]
    assert listing["jobs"][2]["links"]["report"] == f"/api/analyses/{listing['jobs'][2]['analysis_id']}"
    page = engine.get("/api/jobs", params={"limit": 2}).json()
    rest = engine.get("/api/jobs", params={"limit": 2, "before": page["next"]}).json()
    assert page["jobs"] + rest["jobs"] == listing["jobs"]
    assert rest["next"] is None
    for status, paths in (("running", [runs]), ("succeeded", [done]), ("failed", [wrong]), ("cancelled", [])):
        found = engine.get("/api/jobs", params={"status": status}).json()["jobs"]
        assert [job["links"]["self"] for job in found] == paths
    assert engine.get("/api/jobs?dataset_id=other").json()["jobs"] == []
    for query in ("status=over", "limit=0", "limit=x"):
        refused = engine.get(f"/api/jobs?{query}")
        assert (refused.status_code, refused.json()["field"]) == (400, query.partition("=")[0])

    assert engine.delete(runs).json()["status"] == "cancelled"
    assert engine.get(runs).json()["status"] == "cancelled"
    for path, status in ((runs, "cancelled"), (done, "succeeded"), (wrong, "failed")):
        gone = engine.delete(path)
        assert (gone.status_code, gone.json()["status"]) == (200, status)
        assert [engine.request(method, path).status_code for method in ("GET", "DELETE")] == [404, 404]
        assert engine.get(f"{path}/events").status_code == 404
    assert engine.get("/api/jobs").json()["jobs"] == []


def test_the_key_of_a_deleted_job_is_that_request_still_and_starts_it_again(engine) -> None:
    key = {**ASYNC, "Idempotency-Key": "mine"}
    path = engine.post(ANALYZE, json=asked(1), headers=key).headers["Location"]
    first = ended(engine, path)
    assert engine.delete(path).status_code == 200
    refused = engine.post(ANALYZE, json=asked(2), headers=key)
    assert (refused.status_code, refused.json()["type"]) == (422, "idempotency-key-reused")
    again = engine.post(ANALYZE, json=asked(1), headers=key)
    assert (again.status_code, again.headers["Location"]) == (202, path)
    second = ended(engine, path)
    assert (second["status"], second["analysis_id"]) == ("succeeded", first["analysis_id"])
    assert second["created_at"] > first["created_at"]


def test_below_the_reserve_writes_are_refused_and_reads_and_deletions_go_on(start, tmp_path) -> None:
    (tmp_path / "data").mkdir()
    roomy = start("-m", "services.engine")
    with roomy.ready_client() as client:
        dataset_id = client.post("/api/datasets?name=a.csv", content=CSV).json()["dataset_id"]
        known = client.post(ANALYZE, json=asked(1)).json()
        figure = next(iter(known["figures"].values()))
        key = {**ASYNC, "Idempotency-Key": "known"}
        job = client.post(ANALYZE, json=asked(1), headers=key).headers["Location"]
        ended(client, job)
    roomy.stop()
    reserve = str(2 * free_bytes(tmp_path))
    with start("-m", "services.engine", CQOX_DISK_RESERVE_BYTES=reserve).ready_client() as client:
        refusals = [
            client.post("/api/datasets?name=b.csv", content=CSV + b"99,1,1\n"),
            client.post("/api/datasets", files={"file": ("b.csv", CSV + b"99,1,1\n")}),
            client.post("/api/datasets?name=b.csv", content=iter([CSV, b"99,1,1\n"])),
            client.post(ANALYZE, json=asked(2), headers=ASYNC),
        ]
        for refused in refusals:
            assert (refused.status_code, refused.json()["type"]) == (507, "insufficient-storage")
            assert "CQOX_DISK_RESERVE_BYTES" in refused.json()["detail"]
            assert "Retry-After" not in refused.headers
        assert not list((tmp_path / "data/uploads").rglob("upload-*"))
        answer = client.post(ANALYZE, json=asked(2)).json()
        assert (answer["status"], answer["provenance"]["stored"]) != ("failed", True)
        assert answer["provenance"]["stored"] is False
        assert client.get(figure).status_code == 200
        assert not (tmp_path / "data/figures" / known["analysis_id"]).exists()
        assert client.post(ANALYZE, json=asked(1)).json()["provenance"]["cache"] == "hit"
        # The same request is that job, even where there is no space for a new one.
        assert client.post(ANALYZE, json=asked(1), headers=key).status_code == 202
        assert "disk" in client.get("/api/health").json()["degraded"]
        for path in (f"/api/analyses/{known['analysis_id']}", f"/api/datasets/{dataset_id}"):
            assert client.get(path).status_code == 200
            assert client.delete(path).status_code == 204
            assert client.get(path).status_code == 404
        assert client.delete(job).status_code == 200


def test_an_upload_that_would_take_the_reserve_while_it_arrives_is_ended(start, tmp_path) -> None:
    # Of a disk that nobody else fills or empties meanwhile.
    with closing(SmallDisk(tmp_path / "data", 200 * 2**20)) as disk:
        reserve = 100 * 2**20
        engine = start("-m", "services.engine", around=disk.around, CQOX_DISK_RESERVE_BYTES=str(reserve))
        with engine.ready_client() as client:
            declared = client.post("/api/datasets?name=a.csv", content=bytes(150 * 2**20))
            assert declared.status_code == 507
            disk.fill(leaving_bytes=reserve + 4 * 2**20)

            def chunks():
                yield CSV
                for _ in range(8):
                    yield bytes(2**20)

            answer = client.post("/api/datasets?name=a.csv", content=chunks())
            assert (answer.status_code, answer.json()["type"]) == (507, "insufficient-storage")
            disk.clear()
            assert client.post("/api/datasets?name=a.csv", content=CSV).status_code == 201
        engine.stop()


def test_what_is_older_than_the_settings_allow_is_deleted_and_by_default_nothing_is(start, tmp_path) -> None:
    first = start("-m", "services.engine")
    with first.ready_client() as client:
        dataset_id = client.post("/api/datasets?name=a.csv", content=CSV).json()["dataset_id"]
        for seed, body in ((1, asked(1)), (2, asked(2, dataset_id))):
            assert client.post(ANALYZE, json=body).status_code == 200, seed
        ended(client, client.post(ANALYZE, json=asked(3), headers=ASYNC).headers["Location"])
    first.stop()
    old = "2020-01-01T00:00:00.000000+00:00"
    with closing(sqlite3.connect(tmp_path / "data/results.sqlite")) as connection:
        for table, column in (("reports", "created_at"), ("datasets", "created_at"), ("jobs", "finished_at")):
            connection.execute(f"UPDATE {table} SET {column} = ?", (old,))
        connection.commit()
    os.utime(tmp_path / "data/datasets" / dataset_id, (1, 1))

    def there(client: httpx.Client) -> tuple[int, int, int]:
        data = client.get("/api/datasets").json()["datasets"]
        uploads = [each for each in data if not each["sample"]]
        listings = client.get("/api/analyses").json()["analyses"], client.get("/api/jobs").json()["jobs"]
        return len(listings[0]), len(uploads), len(listings[1])

    second = start("-m", "services.engine")
    with second.ready_client() as client:
        time.sleep(0.5)
        assert there(client) == (3, 1, 1)
    second.stop()
    days = {f"CQOX_KEEP_{what}_DAYS": "30" for what in ("REPORTS", "DATASETS", "JOBS")}
    third = start("-m", "services.engine", **days)
    with third.ready_client() as client:
        third.wait_line("Deleted expired data: 1 job, 3 reports, 1 data set")
        assert there(client) == (0, 0, 0)
        names = {each["dataset_id"] for each in client.get("/api/datasets").json()["datasets"]}
        assert "test" in names


def test_the_memory_of_what_is_held_is_measured(engine) -> None:
    engine.post(ANALYZE, json=asked(1))
    ended(engine, engine.post(ANALYZE, json=asked(2), headers=ASYNC).headers["Location"])
    lines = engine.get("/metrics").text.splitlines()
    found = {line.split('"')[1]: float(line.split()[-1]) for line in lines if line.startswith("cqox_cache_size_bytes{")}
    assert found["memory"] > 10_000
    assert found["jobs"] > 500
    assert found["unstored"] == 0


def test_a_streamed_analysis_is_recorded_nowhere_and_remembered_until_it_is_deleted(engine) -> None:
    wrong = {**asked(), "mapping": {**ASKED["mapping"], "pscore": "x1"}}
    stream = engine.post(ANALYZE, json=wrong, headers={"Accept": "text/event-stream"}).text
    path = json.loads(stream.rpartition("data: ")[2])["instance"]
    assert path.startswith("/api/jobs/")
    assert engine.get("/api/jobs").json()["jobs"] == []
    assert engine.get(path).json()["status"] == "failed"
    assert engine.delete(path).json()["status"] == "failed"
    assert engine.get(path).status_code == 404
