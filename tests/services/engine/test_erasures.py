"""Erasure of a data set by a running engine: what was planted is found in no file and in no cache afterwards."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from cqox.contract import ErasureDescription, RetentionDescription
from tests.servers import Redis, running
from tests.waiting import wait_until

PLANTED = ("Yamada-Hanako", "salary_of_hanako", "Title-Hanako", "Notes-Hanako", "Renamed-Hanako", "Pieces-Hanako")
ROWS = b"".join(b"%d,%d,%d\n" % (number, number % 2, number * 7 % 13) for number in range(60))
TABLE = b"id,w,salary_of_hanako\n" + ROWS
MAPPING = {"y": "salary_of_hanako", "treatment": "w"}
ANALYZE = "/api/analyze/comprehensive"


def found_in(folder: Path) -> list[tuple[str, str]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [
        (path.name, planted)
        for path in files
        for planted in PLANTED
        if planted.encode() in path.read_bytes() or planted in path.name
    ]


def kept_in_redis(server: Redis) -> list[bytes]:
    """Return the keys of reports and of idempotency keys; the values are compressed."""
    with server.client() as client:
        return sorted(key for key in client.keys("*") if b":report:" in key or b":turn:key-" in key)


def plant(client: httpx.Client) -> str:
    """Upload a table with names in every place that takes one; return its id."""
    made = client.post("/api/datasets?name=Yamada-Hanako.csv", content=TABLE, headers={"Idempotency-Key": "upload-1"})
    dataset_id = str(made.json()["dataset_id"])
    begun = client.post("/api/uploads", json={"name": "Pieces-Hanako.csv", "size_bytes": len(TABLE)}).json()
    path = f"/api/uploads/{begun['upload_id']}"
    headers = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert client.patch(path, content=TABLE, headers=headers).status_code == 200
    assert client.post(f"{path}/dataset", json={}).json()["dataset_id"] == dataset_id
    assert client.patch(f"/api/datasets/{dataset_id}", json={"name": "Renamed-Hanako"}).status_code == 200
    asked = {"dataset_id": dataset_id, "mapping": MAPPING, "options": {"estimators": ["difference_in_means"]}}
    report = client.post(ANALYZE, json=asked, headers={"Idempotency-Key": "analysis-1"}).json()
    of_report = f"/api/analyses/{report['analysis_id']}"
    assert (
        client.patch(f"{of_report}/annotation", json={"title": "Title-Hanako", "notes": "Notes-Hanako"}).status_code
        == 200
    )
    assert client.post(f"{of_report}/shares", json={"days": 1}).status_code == 201
    for figure in list(report["figures"].values())[:1]:
        assert client.get(figure).status_code == 200
    assert client.get(f"{of_report}/export.html").status_code == 200
    failing = {**asked, "mapping": MAPPING | {"pscore": "id"}}
    for body in (asked, failing):
        job = client.post(ANALYZE, json=body, headers={"Prefer": "respond-async"}).headers["Location"]
        wait_until(lambda job=job: client.get(job).json()["status"] != "running")
    return dataset_id


def finished(client: httpx.Client, erasure: dict[str, Any]) -> ErasureDescription:
    path = f"/api/erasures/{erasure['erasure_id']}"
    wait_until(lambda: client.get(path).json()["status"] == "finished")
    return ErasureDescription.model_validate_json(client.get(path).content)


@pytest.mark.xdist_group("servers")
def test_planted_names_are_in_no_file_and_no_cache_after_an_erasure(start, tmp_path: Path) -> None:
    with running(Redis()) as redis:
        engine = start("-m", "services.engine", REDIS_URL=redis.url, CQOX_SHARE_LINKS="on", CQOX_AUDIT="on")
        with engine.ready_client() as client:
            dataset_id = plant(client)
            other = client.post("/api/datasets?name=other.csv", content=b"y,w\n" + b"1,0\n2,1\n" * 20).json()[
                "dataset_id"
            ]
            assert {name for _, name in found_in(tmp_path / "data")} == set(PLANTED)
            assert len(kept_in_redis(redis)) == 3

            answer = client.post("/api/erasures", json={"dataset_id": dataset_id})
            assert (answer.status_code, answer.headers["Location"]) == (
                202,
                f"/api/erasures/{answer.json()['erasure_id']}",
            )
            receipt = finished(client, answer.json())
            assert found_in(tmp_path / "data") == []
            assert kept_in_redis(redis) == []
            assert not any(planted in receipt.model_dump_json() for planted in PLANTED)
            assert receipt.counts == {
                "datasets": 1,
                "files": receipt.counts["files"],
                "reports": 1,
                "figures": 1,
                "annotations": 1,
                "shares": 1,
                "jobs": 2,
                "uploads": 1,
                "idempotency_keys": 2,
                "api_keys": 0,
            }
            assert list(receipt.digests["datasets"]) == [dataset_id]
            assert {f"{dataset_id}/table.parquet", f"{dataset_id}/original"} <= set(receipt.digests["files"])
            assert len(receipt.digests["reports"]) == 1
            assert receipt.requested_by == "local"
            assert receipt.finished_at is not None

            entries = client.get("/api/audit", params={"action": "request_erasure"}).json()["entries"]
            assert [(each["object"], each["outcome"]) for each in entries] == [(f"dataset:{dataset_id}", "done")]
            of_end = {"object": f"dataset:{dataset_id}", "action": "finish_erasure"}
            (end,) = wait_until(lambda: client.get("/api/audit", params=of_end).json()["entries"])
            assert (end["event_id"], end["subject"]) == (receipt.erasure_id, "local")
            assert client.get(f"/api/datasets/{dataset_id}").status_code == 404
            assert client.get(f"/api/datasets/{other}").status_code == 200
            assert client.get("/api/analyses").json()["analyses"] == []
            # Uploaded again it is a data set like any other.
            assert client.post("/api/datasets?name=Yamada-Hanako.csv", content=TABLE).status_code == 201
            client.get(f"/api/erasures/{receipt.erasure_id}")
            assert client.get(f"/api/datasets/{dataset_id}").status_code == 200


def test_a_repeated_request_is_the_same_erasure_and_what_cannot_be_erased_is_refused(engine: httpx.Client) -> None:
    dataset_id = engine.post("/api/datasets?name=a.csv", content=TABLE).json()["dataset_id"]
    ids = set()
    for _ in range(2):
        answer = engine.post("/api/erasures", json={"dataset_id": dataset_id}, headers={"Idempotency-Key": "once"})
        assert answer.status_code == 202
        ids.add(answer.json()["erasure_id"])
    assert len(ids) == 1
    finished(engine, {"erasure_id": ids.pop()})
    for body, status in (
        ({"dataset_id": dataset_id}, 404),
        ({"dataset_id": "test"}, 400),
        ({}, 400),
        ({"dataset_id": "test", "tenant": "acme"}, 400),
        ({"tenant": "default"}, 400),
        ({"tenant": "nobody"}, 404),
        ({"tenant": "../x"}, 404),
        ({"what": "all"}, 400),
    ):
        assert engine.post("/api/erasures", json=body).status_code == status, body
    assert engine.get("/api/erasures/x").json()["field"] == "erasure_id"
    assert engine.get("/api/erasures/x?tenant=nobody").json()["field"] == "tenant"
    assert engine.get("/api/erasures/x?who=me").status_code == 400


def test_a_running_job_is_cancelled_and_its_report_does_not_appear(engine: httpx.Client) -> None:
    dataset_id = engine.post("/api/datasets?name=a.csv", content=TABLE).json()["dataset_id"]
    options = {"estimators": ["dml_irm_ate"], "repetitions": 50_000}
    body = {"dataset_id": dataset_id, "mapping": MAPPING | {"covariates": ["id"]}, "options": options}
    job = engine.post(ANALYZE, json=body, headers={"Prefer": "respond-async"}).headers["Location"]
    receipt = finished(engine, engine.post("/api/erasures", json={"dataset_id": dataset_id}).json())
    assert receipt.counts["jobs"] == 1
    assert engine.get(job).status_code == 404
    assert engine.get("/api/jobs").json()["jobs"] == []


def test_the_erasure_of_a_tenant_leaves_nothing_of_it_but_its_log(engine: httpx.Client, tmp_path: Path) -> None:
    assert engine.put("/api/tenants/acme", json={"name": "Yamada-Hanako"}).status_code == 200
    assert found_in(tmp_path / "data")
    receipt = finished(engine, engine.post("/api/erasures", json={"tenant": "acme"}).json())
    assert (receipt.what, receipt.object_id, receipt.encryption_key) == ("tenant", "acme", None)
    assert found_in(tmp_path / "data") == []
    tenant = engine.get("/api/tenants/acme").json()
    assert (tenant["name"], tenant["erased_at"] is not None) == ("acme", True)
    refused = engine.put("/api/tenants/acme", json={"name": "again"})
    assert (refused.status_code, refused.json()["field"]) == (404, "tenant_id")
    assert engine.get(f"/api/erasures/{receipt.erasure_id}?tenant=acme").status_code == 404


def test_a_tenant_keeps_what_it_has_for_a_shorter_time_than_the_operator_and_never_longer(start) -> None:
    with start("-m", "services.engine", CQOX_KEEP_REPORTS_DAYS="30").ready_client() as client:
        assert client.get("/api/retention").json()["in_force"] == {"reports": 30.0, "datasets": None, "jobs": None}
        answer = client.put("/api/retention", json={"reports": 7, "datasets": 90})
        found = RetentionDescription.model_validate_json(answer.content)
        assert found.in_force.model_dump() == {"reports": 7.0, "datasets": 90.0, "jobs": None}
        refused = client.put("/api/retention", json={"reports": 31})
        assert (refused.status_code, refused.json()["field"]) == (400, "reports")
        assert client.put("/api/retention", json={"jobs": 0}).json()["field"] == "jobs"
        assert client.get("/api/retention").json()["own"] == {"reports": 7.0, "datasets": 90.0, "jobs": None}
        client.put("/api/tenants/acme", json={"name": "Acme"})
        assert client.put("/api/retention?tenant=acme", json={"jobs": 2}).json()["tenant"] == "acme"
        assert client.get("/api/retention?tenant=acme").json()["in_force"] == {
            "reports": 30.0,
            "datasets": None,
            "jobs": 2.0,
        }
        for query in ("tenant=nobody", "tenant=../x"):
            assert client.get(f"/api/retention?{query}").json()["field"] == "tenant"
        assert client.put("/api/retention", json={}).json()["own"] == {"reports": None, "datasets": None, "jobs": None}
