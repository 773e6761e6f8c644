import hashlib
import json
import os
import re
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from services.http.request.propagation import is_own_key

FAKE = str(Path(__file__).parent / "fake_engine.py")
ANALYZE = "/api/analyze/comprehensive"
# A request that is itself a retry is tried once, which spares the tests the pauses.
JSON = {"Content-Type": "application/json"}
ONE_ATTEMPT = {"X-Retry-Attempt": "1", **JSON}
BODY = b'{"dataset_id": "test", "mapping": {"y": "y"}}'


@pytest.fixture
def engine(start):
    return start(FAKE)


@pytest.fixture
def gateway(start, engine):
    return start("-m", "services.gateway", ENGINE_URL=engine.url)


@pytest.fixture
def client(gateway):
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=20, headers=JSON) as client:
        yield client


def problem_of(answer: httpx.Response) -> dict:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.json()


def dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_a_request_reaches_the_engine_as_the_client_sent_it_without_the_hop(client):
    answer = client.post(
        ANALYZE + "?x=%2F&あ=1",
        content=BODY,
        headers={
            "Connection": "keep-alive, X-Private",
            "X-Private": "for the gateway",
            "TE": "trailers",
            "X-Request-Id": "my-id",
            "Prefer": "respond-async",
            "If-Match": '"v"',
            "Accept-Encoding": "br",
            "Content-Type": "application/json; charset=utf-8",
        },
    )
    seen = answer.json()
    headers = dict(seen["headers"])
    assert (seen["method"], seen["size_bytes"]) == ("POST", len(BODY))
    assert seen["target"] == ANALYZE + "?x=%2F&%E3%81%82=1"
    assert headers["x-request-id"] == "my-id"
    assert headers["prefer"] == "respond-async"
    assert headers["if-match"] == '"v"'
    assert headers["accept-encoding"] == "br"
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert not headers.keys() & {"x-private", "te", "keep-alive", "remote-addr", "transfer-encoding"}
    assert len(headers) == len(seen["headers"])


def test_an_answer_reaches_the_client_without_the_hop(client):
    answer = client.get("/api/analyses/some%20id%3F")
    assert answer.json()["target"] == "/api/analyses/some%20id%3F?"
    assert answer.headers.get_list("Vary") == ["one", "two"]
    assert "X-Engine" not in answer.headers
    assert "X-Hop" not in answer.headers
    assert len(answer.headers.get_list("Date")) == 1


@pytest.mark.parametrize("status", [400, 404, 409, 413, 415, 422, 429])
def test_the_engines_4xx_arrives_byte_for_byte(client, status):
    answer = client.post(f"{ANALYZE}?status={status}", content=BODY)
    assert answer.status_code == status
    assert answer.content == '{"type": "scripted",  "detail": "言われた通り"}'.encode()
    assert answer.headers["Content-Type"] == "application/problem+json; odd=1"
    assert answer.headers.get("Retry-After") == ("7" if status == 429 else None)


def test_a_deadline_that_the_engine_kept_arrives_as_it_said(client):
    answer = client.post(f"{ANALYZE}?status=504", content=BODY)
    assert (answer.status_code, answer.json()["type"]) == (504, "scripted")


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_engine_that_fails_is_unavailable(client, status):
    answer = client.post(f"{ANALYZE}?status={status}", content=BODY, headers=ONE_ATTEMPT)
    assert answer.status_code == 503
    assert problem_of(answer)["type"] == "engine-unavailable"
    assert f"failed with status {status}" in answer.json()["detail"]
    assert answer.headers["Retry-After"]


def test_an_engine_that_is_down_is_a_503_that_says_when_to_come_back(start):
    gateway = start("-m", "services.gateway", ENGINE_URL=dead_url())
    for method, path in (("POST", ANALYZE), ("GET", "/api/datasets"), ("POST", "/api/datasets")):
        answer = httpx.request(method, gateway.url + path, content=BODY, headers=JSON)
        assert answer.status_code == 503
        assert problem_of(answer)["type"] == "engine-unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
    ready = httpx.get(f"{gateway.url}/health/ready")
    assert (ready.status_code, list(ready.json()["degraded"])) == (200, ["engine"])


def test_an_engine_that_comes_back_is_used_again(start, engine):
    gateway = start("-m", "services.gateway", ENGINE_URL=engine.url)
    assert httpx.get(f"{gateway.url}/api/datasets").status_code == 200
    assert httpx.get(f"{gateway.url}/health/ready").json()["degraded"] == {}
    engine.stop(signal.SIGKILL)
    assert httpx.get(f"{gateway.url}/api/datasets").status_code == 503
    start(FAKE, str(httpx.URL(engine.url).port)).wait_line("Listening")
    assert httpx.get(f"{gateway.url}/api/datasets").status_code == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf",
        b"HTTP/1.1 200 OK\r\ncont",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_is_cut_or_broken_is_never_passed_on(start, raw, answer):
    gateway = start("-m", "services.gateway", ENGINE_URL=raw(answer).url)
    got = httpx.post(gateway.url + ANALYZE, content=BODY, headers=ONE_ATTEMPT)
    assert got.status_code == 503
    assert problem_of(got)["type"] == "engine-unavailable"


def test_an_engine_that_never_answers_is_a_504_at_the_deadline(start, raw):
    gateway = start("-m", "services.gateway", ENGINE_URL=raw(None).url, CQOX_ANALYSIS_SECONDS="0.5")
    for path in (ANALYZE, "/api/datasets"):
        # Less than the deadline that a request has without the setting.
        answer = httpx.post(gateway.url + path, content=BODY, headers=JSON, timeout=60)
        assert answer.status_code == 504
        assert problem_of(answer)["type"] == "deadline-exceeded"
        assert "X-Request-Timeout-Ms may say up to 500 here." in answer.json()["detail"]


def test_only_a_deadline_that_the_client_chose_is_measured_as_its_own(client, start, raw):
    for headers in ({"X-Request-Timeout-Ms": "0"}, {"X-Request-Timeout-Ms": "300"}):
        assert client.post(f"{ANALYZE}?sleep=5", content=BODY, headers=headers).status_code == 504
    # The engine says 504 at once: no deadline of a client has passed.
    client.post(f"{ANALYZE}?status=504", content=BODY, headers={"X-Request-Timeout-Ms": "60000"})
    client.post(f"{ANALYZE}?sleep=5", content=BODY, headers={"x-envoy-expected-rq-timeout-ms": "300"})
    assert errors_of(client) == {"ClientDeadline": 2, "504": 2}


def errors_of(client) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    counts = [line for line in lines if line.startswith("http_server_request_duration_seconds_count{")]
    found: dict[str, float] = {}
    for line in counts:
        error = re.search(r'error_type="([^"]*)"', line)
        if error and error[1]:
            found[error[1]] = found.get(error[1], 0) + float(line.rpartition(" ")[2])
    return found


def test_the_engine_learns_whose_deadline_it_is(client):
    for headers, whose in (({}, "service"), ({"X-Request-Timeout-Ms": "5000"}, "client")):
        assert headers_seen(client.post(ANALYZE, content=BODY, headers=headers))["x-cqox-deadline-of"] == whose


def test_a_passed_deadline_says_how_to_get_more_time_and_which_value_was_ignored(client, gateway):
    path, headers = f"{ANALYZE}?sleep=5", {"x-envoy-expected-rq-timeout-ms": "300", "X-Request-Id": "late"}
    answer = client.post(path, content=BODY, headers={**headers, "X-Request-Timeout-Ms": "abc"})
    assert (answer.status_code, problem_of(answer)["type"]) == (504, "deadline-exceeded")
    detail = answer.json()["detail"]
    assert detail.startswith("The deadline of 0.3 s has passed. The request asked for no more: ")
    assert "X-Request-Timeout-Ms may say up to 120000 here." in detail
    assert "'abc', which is no whole number of milliseconds, and was ignored" in detail
    assert "Prefer: respond-async" in detail
    assert '"ignored_timeout": "abc"' in gateway.wait_line(f"POST {ANALYZE} 504")


def test_a_timeout_that_cannot_be_read_is_ignored_and_on_the_access_line_of_its_request_alone(client, gateway):
    assert client.get("/api/datasets", headers={"X-Request-Timeout-Ms": "1e3"}).status_code == 200
    assert client.get("/api/analyses", headers={"X-Request-Timeout-Ms": "5000"}).status_code == 200
    assert '"ignored_timeout": "1e3"' in gateway.wait_line("GET /api/datasets 200")
    assert "ignored_timeout" not in gateway.wait_line("GET /api/analyses 200")


def test_an_upload_is_handed_on_while_it_arrives(client):
    content = os.urandom(5_000_000)
    seen = client.post("/api/datasets?name=a.csv", content=content).json()
    assert (seen["size_bytes"], seen["digest"]) == (
        len(content),
        hashlib.blake2b(content, digest_size=16).hexdigest(),
    )
    assert dict(seen["headers"])["content-length"] == str(len(content))
    chunked = client.post("/api/upload", content=iter([content[:1000], content[1000:]])).json()
    assert (chunked["target"], chunked["digest"]) == ("/api/upload?", seen["digest"])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_head_that_an_engine_might_not_read_is_the_clients_mistake(client, method):
    path = ANALYZE if method == "POST" else "/api/datasets"
    assert client.request(method, path, headers={"X-Long": "x" * 13_000}, content=BODY).status_code == 200
    for _ in range(6):
        refused = client.request(method, path, headers={"X-Long": "x" * 15_000}, content=BODY)
        assert (refused.status_code, problem_of(refused)["status"]) == (431, 431)
    assert client.request(method, path, content=BODY).status_code == 200


def test_an_upload_beyond_the_limit_is_refused_without_the_engine(start, engine):
    gateway = start("-m", "services.gateway", ENGINE_URL=engine.url, CQOX_MAX_UPLOAD_BYTES="100000")
    for content in (bytes(3_000_000), iter([bytes(1000)] * 3000)):
        answer = httpx.post(f"{gateway.url}/api/datasets", content=content)
        assert answer.status_code == 413
        assert problem_of(answer)["type"] == "limit-exceeded"
        assert "CQOX_MAX_UPLOAD_BYTES" in problem_of(answer)["detail"]


def test_a_body_beyond_the_limit_is_refused(start, engine):
    gateway = start("-m", "services.gateway", ENGINE_URL=engine.url, CQOX_MAX_BODY_BYTES="1000")
    assert httpx.post(gateway.url + ANALYZE, content=bytes(1001), headers=JSON).status_code == 413
    assert httpx.post(gateway.url + ANALYZE, content=bytes(1000), headers=JSON).status_code == 200


def test_an_answer_beyond_the_limit_is_a_failure_of_the_engine(start, engine):
    gateway = start("-m", "services.gateway", ENGINE_URL=engine.url, CQOX_MAX_ANSWER_BYTES="100000")
    assert httpx.get(f"{gateway.url}/api/estimators?pad=90000").status_code == 200
    answer = httpx.get(f"{gateway.url}/api/estimators?pad=110000")
    assert answer.status_code == 503
    assert "larger than the limit of 100,000 bytes" in problem_of(answer)["detail"]


def test_a_client_that_goes_away_in_mid_upload_is_gone_for_the_engine_too(gateway, engine):
    parsed = httpx.URL(gateway.url)
    with socket.create_connection((parsed.host, parsed.port)) as connection:
        connection.sendall(
            b"POST /api/datasets HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n" + bytes(200_000)
        )
        engine.wait_line("receiving /api/datasets")
    engine.wait_line("client gone after True")


def test_a_client_that_goes_away_in_mid_analysis_is_gone_for_the_engine_too(gateway, engine):
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{gateway.url}{ANALYZE}?sleep=600", content=BODY, headers=JSON, timeout=httpx.Timeout(10, read=0.5))
    engine.wait_line("client gone while working")


def test_a_request_in_flight_finishes_after_the_signal(gateway, engine, client):
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(client.post(f"{ANALYZE}?sleep=1", content=BODY)))
    asking.start()
    engine.wait_line(f"working on {ANALYZE}")
    assert gateway.stop() == 0
    asking.join(10)
    assert answers[0].status_code == 200
    assert gateway.has_in_order("Received signal SIGTERM", "Stopped accepting", f"POST {ANALYZE} 200", "gracefully")


def test_the_engine_keeps_one_connection_for_many_requests(client, gateway, engine):
    for _ in range(20):
        assert client.get("/api/datasets").status_code == 200
    peers: list[str] = []
    for path in Path(f"/proc/{gateway.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since they were listed
            peers.append(os.readlink(path))
    assert 0 < sum(peer.startswith("socket:") for peer in peers) < 12


def test_head_has_the_length_of_get(client):
    head, get = client.head("/api/datasets"), client.get("/api/datasets")
    assert head.status_code == 200
    assert head.content == b""
    assert abs(int(head.headers["Content-Length"]) - len(get.content)) <= 2


def test_what_is_no_path_is_a_problem(client):
    answer = client.get("/api/nothing")
    assert answer.status_code == 404
    assert ANALYZE in problem_of(answer)["choices"]
    assert client.get(ANALYZE).status_code == 405


def headers_seen(answer: httpx.Response) -> dict[str, str]:
    return dict(answer.json()["headers"])


@pytest.mark.parametrize(("method", "path"), [("POST", ANALYZE), ("GET", "/api/datasets"), ("GET", "/api/jobs/x")])
def test_the_call_context_of_a_request_is_propagated_to_the_engine_on_every_route(client, method, path):
    said = {"X-Request-Timeout-Ms": "5000", "X-Retry-Attempt": "2", "X-Criticality": "sheddable"}
    headers = headers_seen(client.request(method, path, headers=said))
    assert 4000 < int(headers["x-request-timeout-ms"]) <= 5000
    assert (headers["x-retry-attempt"], headers["x-criticality"]) == ("2", "sheddable")
    assert 0 < int(headers_seen(client.request(method, path))["x-request-timeout-ms"]) <= 120_000


@pytest.mark.parametrize("path", [ANALYZE, "/api/datasets", "/api/roles/infer"])
def test_a_request_whose_caller_no_longer_waits_is_not_run(client, path):
    answer = client.post(path, content=BODY, headers={"X-Request-Timeout-Ms": "0"})
    assert (answer.status_code, problem_of(answer)["type"]) == (504, "deadline-exceeded")


def test_an_event_stream_has_the_clients_deadline_too(client):
    headers = {"Accept": "text/event-stream", "X-Request-Timeout-Ms": "5000"}
    with client.stream("POST", ANALYZE, content=BODY, headers=headers) as answer:
        answer.read()
    assert 4000 < int(headers_seen(answer)["x-request-timeout-ms"]) <= 5000


def test_a_request_has_an_idempotency_key_and_that_of_the_client_is_kept(client):
    own = [headers_seen(client.post(ANALYZE, content=BODY))["idempotency-key"] for _ in range(2)]
    assert own[0] != own[1]
    assert all(is_own_key(key) for key in own)
    assert "idempotency-key" not in headers_seen(client.get("/api/analyses"))
    answer = client.post(ANALYZE, content=BODY, headers={"Idempotency-Key": "mine"})
    assert headers_seen(answer)["idempotency-key"] == "mine"


def test_what_goes_wrong_is_logged_once_under_its_request_id_and_a_clients_mistake_only_as_access(client, gateway):
    cases = {"failed": ("?status=500", 503, 1), "late": ("?sleep=5", 504, 1), "mistake": ("?status=422", 422, 0)}
    for name, (query, status, _) in cases.items():
        headers = ONE_ATTEMPT | {"X-Request-Id": name, "X-Request-Timeout-Ms": "400"}
        assert client.post(ANALYZE + query, content=BODY, headers=headers).status_code == status
    gateway.stop()
    logged = [json.loads(line) for line in gateway.lines]
    for name, (_, status, times) in cases.items():
        mine = [line for line in logged if line.get("request_id") == name and "[Retry]" not in line["event"]]
        assert [line["event"] for line in mine if line["level"] == "info"] == [f"POST {ANALYZE} {status}"]
        assert len([line for line in mine if line["level"] != "info"]) == times


PRIVATE = {
    "Authorization": "Bearer s3cret",
    "Proxy-Authorization": "Basic s3cret",
    "Cookie": "session=s3cret",
    "Forwarded": "for=s3cret",
    "X-Real-IP": "s3cret",
    "X-Forwarded-For": "s3cret",
    "X-FORWARDED-Proto": "s3cret",
    "X_Forwarded_For": "s3cret",
    "X-Forwarded-Client-Cert": "s3cret",
    "X-Cqox-Tenant": "s3cret",
    "x-cqox-principal": "s3cret",
    "X_Cqox_Principal": "s3cret",
    "X-Api-Key": "s3cret",
    "X-Auth-Request-Access-Token": "s3cret",
    "X-Remote-User": "s3cret",
    "Origin": "http://localhost",
    "Referer": "http://localhost/s3cret",
    "Sec-Fetch-Site": "same-origin",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", ANALYZE), ("GET", "/api/datasets"), ("GET", "/api/jobs/some"), ("POST", "/api/datasets")],
)
def test_credentials_and_what_proxies_say_end_at_the_gateway(client, method, path):
    answer = client.request(method, path, headers={**PRIVATE, "Prefer": "wait=1"}, content=BODY)
    seen = {name.lower().replace("_", "-") for name, _ in answer.json()["headers"]}
    assert not seen & {name.lower().replace("_", "-") for name in PRIVATE}
    assert "s3cret" not in answer.text
    assert {"prefer", "x-request-id", "content-length" if method == "POST" else "accept"} <= seen
