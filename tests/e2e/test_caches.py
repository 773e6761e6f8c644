"""Caching between client and gateway: of no answer that holds data, and of figures by the client alone."""

import httpx
import pytest

ASKED = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}


@pytest.fixture
def report(api: httpx.Client) -> dict:
    answer = api.post("/api/analyze/comprehensive", json=ASKED)
    assert answer.headers.get_list("Cache-Control") == ["no-store"]
    return answer.json()


def test_a_figure_is_kept_by_the_client_alone(api: httpx.Client, report: dict) -> None:
    figure = api.get(next(iter(report["figures"].values())))
    assert figure.status_code == 200
    assert figure.headers.get_list("Cache-Control") == ["private, max-age=31536000, immutable"]


def test_what_holds_data_is_kept_by_nobody(api: httpx.Client, report: dict) -> None:
    started = api.post("/api/analyze/comprehensive", json=ASKED, headers={"Prefer": "respond-async"})
    uploaded = api.post("/api/datasets?name=a.csv", content=b"w,y\n0,1\n1,2\n")
    answers = [
        started,
        uploaded,
        api.get(f"/api/analyses/{report['analysis_id']}"),
        api.get("/api/analyses"),
        api.get("/api/datasets"),
        api.get("/api/datasets/test"),
        api.get(started.headers["Location"]),
        api.get(f"{started.headers['Location']}/events"),
        api.get("/api/estimators"),
        api.post("/api/roles/infer", json={"dataset_id": "test"}),
        api.get(f"/api/analyses/{report['analysis_id']}/figures/nothing.svg"),
        api.get("/api/datasets/nothing"),
        api.delete(f"/api/datasets/{uploaded.json()['dataset_id']}"),
    ]
    assert [answer.status_code for answer in answers[-3:]] == [404, 404, 204]
    for answer in answers:
        assert answer.headers.get_list("Cache-Control") == ["no-store"], answer.url
