"""Analyses in the background and in a stream, sharing and refusing, against a real engine."""

import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from cqox.contract import EstimateEvent, EstimateReport, JobDescription, Report
from tests.e2e.stack import Stack, build
from tests.waiting import wait_until

SHORT = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w", "covariates": ["x1", "x2"]}}


def asking(repetitions: int, seed: int = 0) -> dict[str, object]:
    return {**SHORT, "options": {"repetitions": repetitions, "seed": seed, "estimators": ["dml_irm_ate"]}}


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, object]]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    stack = build(tmp_path_factory.mktemp("jobs"), CQOX_QUEUED_ANALYSES="2")
    stack.engine.start()
    try:
        stack.engine.wait_ready()
        with httpx.Client(base_url=stack.engine.url, trust_env=False, timeout=60) as client:
            yield client
    finally:
        stack.engine.stop()


def wait_done(engine: httpx.Client, path: str) -> dict[str, object]:
    described: dict[str, object] = {}

    def is_done() -> bool:
        described.update(engine.get(path).json())
        JobDescription.model_validate(described)
        return described["status"] != "running"

    wait_until(is_done)
    return described


def wait_for_measure(engine: httpx.Client, name: str, value: float) -> None:
    def lines() -> list[str]:
        return engine.get("/metrics").text.splitlines()

    wait_until(lambda: any(line.startswith(name) and float(line.split()[-1]) == value for line in lines()))


def test_a_preference_for_async_is_answered_with_a_job_that_leads_to_its_report(engine: httpx.Client) -> None:
    answer = engine.post("/api/analyze/comprehensive", json=asking(50, 1), headers={"Prefer": "respond-async, wait=1"})
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    done = wait_done(engine, answer.headers["Location"])
    assert done["status"] == "succeeded"
    assert done["done"] == done["planned"] == 1
    report = engine.get(done["links"]["report"]).json()  # type: ignore[index]
    Report.model_validate(report)
    with engine.stream("GET", done["links"]["events"]) as stream:  # type: ignore[index]
        names = [name for name, _ in events(stream.iter_lines())]
    assert names[-1] == "succeeded"
    assert names.count("step") >= 4
    with engine.stream("GET", done["links"]["events"], headers={"Last-Event-ID": str(len(names) - 1)}) as stream:  # type: ignore[index]
        assert [name for name, _ in events(stream.iter_lines())] == ["succeeded"]


def test_an_event_stream_has_each_step_and_estimate_and_ends_with_the_report(engine: httpx.Client) -> None:
    with engine.stream(
        "POST",
        "/api/analyze/comprehensive",
        json={**SHORT, "options": {"seed": 5}},
        headers={"Accept": "text/event-stream"},
    ) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        received = list(events(stream.iter_lines()))
    steps = [body["step"] for name, body in received if name == "step"]
    assert steps[0] == "read"
    assert "estimate.aipw" in steps
    assert any(body.get("estimate") is not None for name, body in received if name == "step")
    assert received[-1][0] == "report"
    report = received[-1][1]
    Report.model_validate(report)
    estimates = [EstimateEvent.model_validate(body) for name, body in received if name == "estimate"]
    made = [EstimateReport.model_validate(each) for each in report["estimates"]]
    shared = EstimateEvent.model_fields.keys() & EstimateReport.model_fields.keys()
    assert {"name", "estimand", "status", "estimate", "ci_lower", "ci_upper", "p_value"} < shared
    assert [each.model_dump(include=shared) for each in estimates] == [each.model_dump(include=shared) for each in made]
    assert [(each.done, each.planned) for each in estimates] == [(at + 1, len(made)) for at in range(len(made))]


def test_a_job_that_fails_says_why_as_a_problem(engine: httpx.Client) -> None:
    body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w", "pscore": "x1"}}
    answer = engine.post("/api/analyze/comprehensive", json=body, headers={"Prefer": "respond-async"})
    done = wait_done(engine, answer.headers["Location"])
    assert done["status"] == "failed"
    assert done["problem"]["status"] == 400  # type: ignore[index]
    assert "'x1'" in done["problem"]["detail"]  # type: ignore[index]


def test_a_request_that_cannot_be_right_is_refused_before_there_is_a_job(engine: httpx.Client) -> None:
    body = {"dataset_id": "nothing", "mapping": {"y": "y", "treatment": "w"}}
    for headers in ({"Prefer": "respond-async"}, {"Accept": "text/event-stream"}):
        assert engine.post("/api/analyze/comprehensive", json=body, headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        ({"y": "nope", "treatment": "w"}, "mapping.y"),
        ({"y": "y"}, "mapping.treatment"),
        ({"y": "y", "treatment": "w", "covariates": ["w"]}, "mapping.covariates"),
    ],
)
def test_a_mapping_of_wrong_names_is_refused_however_the_answer_is_to_come(
    engine: httpx.Client, mapping: dict[str, object], field: str
) -> None:
    for headers in ({}, {"Prefer": "respond-async"}, {"Accept": "text/event-stream"}):
        body = {"dataset_id": "test", "mapping": mapping}
        answer = engine.post("/api/analyze/comprehensive", json=body, headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_a_cancelled_job_stops_computing(engine: httpx.Client) -> None:
    answer = engine.post("/api/analyze/comprehensive", json=asking(50_000, 2), headers={"Prefer": "respond-async"})
    path = answer.headers["Location"]
    assert engine.get(path).json()["status"] == "running"
    assert engine.delete(path).json()["status"] == "cancelled"
    assert engine.delete(path).json()["status"] == "cancelled"


def test_the_same_key_and_body_are_one_job_and_another_body_is_refused(engine: httpx.Client) -> None:
    path, key = "/api/analyze/comprehensive", {"Idempotency-Key": "mine"}
    asynchronously = key | {"Prefer": "respond-async"}
    first = engine.post(path, json=asking(50, 20), headers=asynchronously)
    again = engine.post(path, json=dict(reversed(asking(50, 20).items())), headers=asynchronously)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["job_id"] == again.json()["job_id"]
    assert first.headers["Location"] == again.headers["Location"]
    for headers in (key, asynchronously, key | {"Accept": "text/event-stream"}):
        refused = engine.post(path, json=asking(50, 21), headers=headers)
        assert refused.status_code == 422
        assert refused.json()["type"] == "idempotency-key-reused"
        assert "'mine' was sent before with another body" in refused.json()["detail"]
    wait_done(engine, first.headers["Location"])
    assert engine.post(path, json=asking(50, 20), headers=asynchronously).json()["status"] == "succeeded"
    assert engine.post(path, json=asking(50, 20), headers=key).status_code == 200
    other = engine.post(path, json=asking(50, 20), headers={"Prefer": "respond-async"}).json()
    assert other["job_id"] != first.json()["job_id"]


def test_a_key_holds_an_upload_to_its_bytes(engine: httpx.Client) -> None:
    key = {"Idempotency-Key": "an upload"}
    ids = {engine.post("/api/datasets?name=a.csv", content=b"y,w\n1,0\n2,1\n", headers=key).json()["dataset_id"]}
    ids.add(engine.post("/api/datasets?name=a.csv", content=b"y,w\n1,0\n2,1\n", headers=key).json()["dataset_id"])
    assert len(ids) == 1
    refused = engine.post("/api/datasets?name=a.csv", content=b"y,w\n1,0\n2,2\n", headers=key)
    assert (refused.status_code, refused.json()["type"]) == (422, "idempotency-key-reused")


def test_jobs_without_a_key_are_many_and_share_their_computation(engine: httpx.Client) -> None:
    body = asking(300, 22)
    jobs = [
        engine.post("/api/analyze/comprehensive", json=body, headers={"Prefer": "respond-async"}).headers["Location"]
        for _ in range(3)
    ]
    ended = [wait_done(engine, path) for path in jobs]
    assert len({one["job_id"] for one in ended}) == 3
    assert len({one["analysis_id"] for one in ended}) == 1
    # Each listener receives each step once, at the same point of the one computation.
    assert len({json.dumps(list(stream_events(engine, f"{path}/events"))) for path in jobs}) == 1


def stream_events(engine: httpx.Client, path: str) -> Iterator[tuple[str, dict[str, object]]]:
    with engine.stream("GET", path) as stream:
        yield from events(stream.iter_lines())


def test_a_job_is_found_by_its_id_alone(engine: httpx.Client) -> None:
    for method in ("GET", "DELETE"):
        assert engine.request(method, "/api/jobs/nothing").status_code == 404
    assert engine.get("/api/jobs/nothing/events").status_code == 404


def test_a_deadline_of_the_client_ends_the_computation_with_504(engine: httpx.Client) -> None:
    answer = engine.post("/api/analyze/comprehensive", json=asking(50_000, 3), headers={"X-Request-Timeout-Ms": "400"})
    assert answer.status_code == 504
    assert "deadline of 0.4 s" in answer.json()["detail"]
    assert (
        engine.post(
            "/api/analyze/comprehensive", json=asking(50_000, 3), headers={"X-Request-Timeout-Ms": "0"}
        ).status_code
        == 504
    )


def test_the_same_request_from_many_is_computed_once(engine: httpx.Client) -> None:
    answers: list[httpx.Response] = []
    body = asking(600, 4)

    def ask() -> None:
        answers.append(
            httpx.post(f"{engine.base_url}/api/analyze/comprehensive", json=body, trust_env=False, timeout=60)
        )

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 12
    reports = [answer.json() for answer in answers]
    assert len({json.dumps(report["estimates"]) for report in reports}) == 1


def test_beyond_the_queue_requests_are_refused_early_with_a_time_to_come_back(engine: httpx.Client) -> None:
    jobs = [
        engine.post(
            "/api/analyze/comprehensive", json=asking(50_000, 100 + number), headers={"Prefer": "respond-async"}
        )
        for number in range(4)
    ]
    wait_for_measure(engine, "cqox_analysis_queue_depth", 2)
    for headers in ({}, {"Prefer": "respond-async"}, {"Accept": "text/event-stream"}):
        refused = engine.post("/api/analyze/comprehensive", json=asking(50_000, 200), headers=headers)
        if "Accept" in headers:
            assert '"bulkhead-full"' in refused.text
        else:
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) >= 1
    for job in jobs:
        # The refusals waited for none of them.
        assert engine.get(job.headers["Location"]).json()["status"] == "running"
        engine.delete(job.headers["Location"])


def test_a_drain_waits_for_jobs_and_says_interrupted_when_the_grace_is_over(own_stack: Stack) -> None:
    own_stack.engine.environment["CQOX_DRAIN_SECONDS"] = "1"
    own_stack.engine.start()
    own_stack.engine.wait_ready()
    url = own_stack.engine.url
    answer = httpx.post(
        f"{url}/api/analyze/comprehensive", json=asking(50_000), headers={"Prefer": "respond-async"}, trust_env=False
    )
    names: list[str] = []

    def listen() -> None:
        with httpx.stream("GET", f"{url}{answer.headers['Location']}/events", trust_env=False, timeout=60) as stream:
            for name, _ in events(stream.iter_lines()):
                names.append(name)

    listener = threading.Thread(target=listen)
    listener.start()
    with httpx.Client(base_url=url, trust_env=False) as engine:
        wait_for_measure(engine, "cqox_analysis_running", 1)
    # A listener that comes after the signal is refused.
    wait_until(lambda: names)
    assert own_stack.engine.stop() == 1
    listener.join()
    assert names[-1] == "interrupted", own_stack.engine.log
