"""Reports, figures, problems and streams in the language that the client prefers; what is stored stays English."""

import base64
import hashlib
import json
import re

import httpx

from tests.e2e.stack import Stack
from tests.waiting import wait_until

ASKED = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w", "covariates": ["x1", "x2"]}}
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def english_only(answer: httpx.Response) -> bool:
    return not JAPANESE.search(answer.text)


def rest(report: dict) -> dict:
    """The report without what differs between requests."""
    return {**report, "provenance": None}


def test_a_report_is_read_in_either_language_and_stored_in_english(api: httpx.Client) -> None:
    plain = {"Accept-Encoding": "identity"}
    japanese = api.post("/api/analyze/comprehensive?lang=ja", json=ASKED, headers=plain)
    path = f"/api/analyses/{japanese.json()['analysis_id']}"
    english = api.get(path)
    assert english_only(english)
    assert (english.headers["Content-Language"], japanese.headers["Content-Language"]) == ("en", "ja")
    assert "Accept-Language" in japanese.headers.get_list("Vary")
    digest = base64.b64encode(hashlib.sha256(japanese.content).digest()).decode()
    assert japanese.headers["Content-Digest"] == f"sha-256=:{digest}:"
    report = japanese.json()
    assert JAPANESE.search(report["decision"]["note"])
    assert all(JAPANESE.search(gate["rule"]) for gate in report["gates"].values())
    assert "[en]" not in japanese.text
    assert report["estimates"][0]["estimate"] == english.json()["estimates"][0]["estimate"]
    assert set(report["messages"]) == set(english.json()["messages"])
    again = api.get(path, headers={"Accept-Language": "ja-JP, en;q=0.5"})
    assert rest(again.json()) == rest(report)
    assert english_only(api.get(f"{path}?lang=en", headers={"Accept-Language": "ja"}))


def test_verdicts_gates_and_assumptions_are_defined_in_either_language(api: httpx.Client) -> None:
    english, japanese = api.get("/api/definitions"), api.get("/api/definitions?lang=ja")
    # The finding on totals names a label of Japanese files.
    assert not JAPANESE.search(english.text.replace("合計", ""))
    assert "[en]" not in japanese.text
    defined = {(each["kind"], each["name"]): each["meaning"] for each in japanese.json()["definitions"]}
    assert all(JAPANESE.search(meaning) for meaning in defined.values())
    report = api.post("/api/analyze/comprehensive", json=ASKED).json()
    assert ("verdict", report["decision"]["verdict"]) in defined
    assert {("gate", name) for name in report["gates"]} <= defined.keys()
    assert {("assumption", each["name"]) for each in report["identification"]["assumptions"]} <= defined.keys()


def test_figures_of_both_languages_are_stored_side_by_side(api: httpx.Client) -> None:
    figure = api.post("/api/analyze/comprehensive", json=ASKED).json()["figures"]["forest"]
    english, japanese = api.get(figure), api.get(f"{figure}?lang=ja")
    assert english.content != japanese.content
    assert (api.get(figure).content, api.get(f"{figure}?lang=ja").content) == (english.content, japanese.content)
    assert "Accept-Language" in japanese.headers.get_list("Vary")
    specification = figure.removesuffix("svg") + "json"
    assert english_only(api.get(specification))
    assert JAPANESE.search(json.dumps(api.get(f"{specification}?lang=ja").json()["title"], ensure_ascii=False))


def test_problems_of_gateway_and_engine_are_in_the_language_of_the_request(api: httpx.Client) -> None:
    for answer in (
        api.get("/api/analyses/nothing?lang=ja"),
        api.post("/api/analyze/comprehensive?lang=ja", json={**ASKED, "mapping": {"y": "nothing", "treatment": "w"}}),
        api.post("/api/analyze/comprehensive", content=b"{", headers={"Accept-Language": "ja"}),
    ):
        problem = answer.json()
        assert JAPANESE.search(problem["title"]), problem
        assert JAPANESE.search(problem["detail"]), problem
        assert problem["messages"]["/detail"]["code"]
        assert answer.headers["Content-Language"] == "ja"
    unknown = api.get("/api/analyses?lang=fr")
    assert (unknown.status_code, unknown.json()["field"], unknown.json()["choices"]) == (400, "lang", ["en", "ja"])


def test_a_stream_and_a_failed_job_are_translated_too(api: httpx.Client) -> None:
    streamed = api.post("/api/analyze/comprehensive?lang=ja", json=ASKED, headers={"Accept": "text/event-stream"})
    report = json.loads(streamed.text.rsplit("event: report\ndata: ", 1)[1])
    assert JAPANESE.search(report["decision"]["note"])

    constant = api.post("/api/datasets?name=c.csv&lang=ja", content=b"w,y\n" + b"0,1\n" * 30).json()["dataset_id"]
    wanted = {"dataset_id": constant, "mapping": {"y": "y", "treatment": "w"}}
    job = api.post("/api/analyze/comprehensive", json=wanted, headers={"Prefer": "respond-async"}).headers["Location"]
    events = api.get(f"{job}/events?lang=ja").text
    assert JAPANESE.search(events.rsplit("event: failed\ndata: ", 1)[1])
    assert JAPANESE.search(api.get(f"{job}?lang=ja").json()["problem"]["detail"])
    assert english_only(api.get(job))


def test_a_deadline_is_explained_in_the_language_of_the_request_and_logged_in_english(stack: Stack) -> None:
    before = len(stack.gateway.log), len(stack.engine.log)
    slow = {**ASKED, "options": {"repetitions": 100_000, "seed": 4_711}}
    headers = {"Accept-Language": "ja", "X-Request-Timeout-Ms": "400"}
    with stack.client() as client:
        answer = client.post("/api/analyze/comprehensive", json=slow, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (504, "deadline-exceeded")
    assert JAPANESE.search(problem["detail"])
    assert "X-Request-Timeout-Ms" in problem["detail"]
    assert problem["messages"]["/detail"]["code"] == "text.sentences"
    wait_until(lambda: "deadline-exceeded" in stack.gateway.log[before[0] :])
    assert not JAPANESE.search(stack.gateway.log[before[0] :] + stack.engine.log[before[1] :])
