"""The third verification: one request is one trace, in a real collector, across both services and the worker."""

import time
from collections.abc import Iterator

import pytest

from tests.servers import Postgres, Redis, running
from tests.telemetry.conftest import ANALYSIS, Services
from tests.telemetry.receiver import Received, ReceivedSpan, Receiver

SERVER, CLIENT, INTERNAL = 2, 3, 1
ROUTE = "POST /api/analyze/comprehensive"


@pytest.fixture
def redis_server() -> Iterator[Redis]:
    with running(Redis()) as server:
        yield server


@pytest.fixture
def postgres_server() -> Iterator[Postgres]:
    with running(Postgres()) as server:
        yield server


class Tree:
    """The spans of one trace, by their places in it."""

    def __init__(self, received: Received, trace_id: str) -> None:
        self.spans = [span for span in received.spans if span.trace_id == trace_id]
        self._by_id = {span.span_id: span for span in self.spans}

    def one(self, service: str, name: str, kind: int, **attributes: str) -> ReceivedSpan:
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        found = [
            span
            for span in self.spans
            if (span.service, span.name, span.kind) == (service, name, kind)
            and all(span.attributes.get(key) == value for key, value in wanted.items())
        ]
        assert len(found) == 1, f"{len(found)} × {service} {name}: {[(s.service, s.name) for s in self.spans]}"
        return found[0]

    def first(self, service: str, name: str) -> ReceivedSpan:
        found = [span for span in self.spans if (span.service, span.name, span.kind) == (service, name, CLIENT)]
        return min(found, key=lambda span: span.start_ns)

    def parent(self, span: ReceivedSpan) -> ReceivedSpan:
        return self._by_id[span.parent_id]

    def above(self, span: ReceivedSpan) -> list[ReceivedSpan]:
        found = []
        while span.parent_id:
            span = self._by_id[span.parent_id]
            found.append(span)
        return found


def analyzed(services: Services, receiver: Receiver) -> Tree:
    with services.client() as client:
        answer = client.post("/api/analyze/comprehensive", json=ANALYSIS)
    assert answer.status_code == 200, answer.text
    trace_id = answer.headers["X-Trace-Id"]
    assert answer.json()["provenance"]["trace_id"] == trace_id

    def arrived(received: Received) -> bool:
        servers = {span.service for span in received.spans if span.trace_id == trace_id and span.kind == SERVER}
        return servers == {"gateway", "engine"}

    return Tree(receiver.wait_for(arrived), trace_id)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_one_request_is_one_trace_through_gateway_engine_worker_and_stores(
    services: Services, receiver: Receiver, protocol: str
) -> None:
    services.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_url if protocol == "http/protobuf" else receiver.grpc_url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_METRICS_EXPORTER": "none",
    }
    services.start_both()
    tree = analyzed(services, receiver)

    gateway = tree.one("gateway", ROUTE, SERVER)
    sent = tree.one("gateway", "POST", CLIENT)
    engine = tree.one("engine", ROUTE, SERVER)
    looked_up = tree.first("engine", "GET")
    computed = tree.one("engine", "worker analyze", INTERNAL)
    inserted = tree.one("engine", "INSERT reports", CLIENT)
    assert gateway.parent_id == ""
    assert tree.parent(sent) is gateway
    assert tree.parent(engine) is sent
    assert engine in tree.above(looked_up)
    assert engine in tree.above(computed)
    assert engine in tree.above(inserted)
    steps = [span for span in tree.spans if span.parent_id == computed.span_id]
    names = {span.name for span in steps}
    assert {"read", "plan", "diagnostics", "figures"} <= names
    assert any(name.startswith("estimate.") for name in names)
    # Estimators that were skipped are one event, and no spans.
    assert not [span for span in steps if span.attributes.get("cqox.status") == "skipped"]
    assert [event for event, _ in computed.events] == ["estimators skipped"]
    assert all(computed.start_ns <= span.start_ns <= span.end_ns <= computed.end_ns for span in steps)
    assert looked_up.end_ns <= computed.start_ns
    assert computed.end_ns <= inserted.start_ns
    assert gateway.attributes["http.route"] == "/api/analyze/comprehensive"
    assert gateway.attributes["http.response.status_code"] == 200
    assert not [span.name for span in tree.spans if span.status == 2]

    # A log record of the request names the same trace, and came the same way.
    logged = receiver.wait_for(lambda received: len({log[0] for log in received.logs if log[2]}) == 2).logs
    assert ("gateway", f"{ROUTE} 200", gateway.trace_id) in logged
    assert services.stop("gateway") == 0
    assert services.stop("engine") == 0


def test_redis_and_postgresql_are_in_the_trace_of_the_request(
    services: Services, receiver: Receiver, redis_server: Redis, postgres_server: Postgres
) -> None:
    services.environment |= {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.http_url}/v1/traces",
        "REDIS_URL": redis_server.url,
        "POSTGRES_URL": postgres_server.fresh(),
    }
    services.start_both()
    tree = analyzed(services, receiver)
    engine = tree.one("engine", ROUTE, SERVER)
    looked_up = tree.first("engine", "GET")
    inserted = tree.one("engine", "INSERT reports", CLIENT)
    computed = tree.one("engine", "worker analyze", INTERNAL)
    assert looked_up.attributes["db.system.name"] == "redis"
    assert inserted.attributes["db.system.name"] == "postgresql"
    for span in (looked_up, inserted):
        assert span.attributes["server.address"] == "127.0.0.1"
        assert isinstance(span.attributes["server.port"], int)
        assert span.attributes["db.namespace"]
        assert span.name == span.attributes["db.query.summary"]
    assert engine in tree.above(looked_up)
    assert engine in tree.above(inserted)
    assert looked_up.end_ns <= computed.start_ns
    assert computed.end_ns <= inserted.start_ns
    assert all(span.end_ns > span.start_ns for span in (looked_up, inserted))


def test_the_trace_of_the_caller_is_continued_and_answers_say_where_to_look_at_it(
    services: Services, receiver: Receiver
) -> None:
    services.environment |= {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.http_url}/v1/traces",
        "CQOX_TRACE_URL": "http://localhost:16686/trace/{trace_id}",
    }
    services.start_both()
    trace_id, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with services.client() as client:
        headers = {"traceparent": f"00-{trace_id}-{caller}-01", "tracestate": "vendor=1"}
        answer = client.get("/api/datasets/nothing", headers=headers)
    assert answer.status_code == 404
    assert answer.headers["X-Trace-Id"] == answer.json()["trace_id"] == trace_id
    assert answer.headers["X-Trace-Url"] == f"http://localhost:16686/trace/{trace_id}"
    received = receiver.wait_for(
        lambda received: (
            {span.service for span in received.spans if span.trace_id == trace_id and span.kind == SERVER}
            == {"gateway", "engine"}
        )
    )
    tree = Tree(received, trace_id)
    gateway = tree.one("gateway", "GET /api/datasets/{dataset_id}", SERVER)
    assert gateway.parent_id == caller
    # A mistake of the client is no error of a server.
    assert gateway.status == 0
    # Nothing that probes ask is in any trace.
    assert not [span for span in received.spans if "health" in str(span.attributes.get("url.path", ""))]


def test_probes_and_periodic_work_leave_no_trace(
    services: Services, receiver: Receiver, redis_server: Redis, postgres_server: Postgres
) -> None:
    services.environment |= {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.http_url}/v1/traces",
        # A sampler that heeds no caller.
        "OTEL_TRACES_SAMPLER": "always_on",
        "REDIS_URL": redis_server.url,
        "POSTGRES_URL": postgres_server.fresh(),
    }
    services.start_both()
    began = time.time_ns()
    for name in ("gateway", "engine"):
        with services.client(name) as client:
            for path in ("/health/live", "/health/ready", "/api/health", "/metrics"):
                assert client.get(path).status_code == 200
                client.get(path, headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
    # The leases and the health are looked after every 5 s.
    time.sleep(5.5)
    with services.client() as client:
        assert client.get("/api/datasets").status_code == 200
    for name in ("gateway", "engine"):
        assert services.stop(name) == 0
    spans = [span for span in receiver.received.spans if span.start_ns > began]
    # A drain is traced too.
    drains = {(name, "services.http.server.serving._Server._drain") for name in services.ports}
    roots = {(span.service, span.name) for span in spans if not span.parent_id}
    assert roots - drains == {("gateway", "GET /api/datasets")}
    assert ("engine", "GET /api/datasets") in {(span.service, span.name) for span in spans}


def test_the_trace_of_a_caller_is_continued_in_the_format_that_the_environment_names(
    services: Services, receiver: Receiver
) -> None:
    services.environment |= {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.http_url}/v1/traces",
        "OTEL_PROPAGATORS": "b3",
    }
    services.start_both()
    trace_id, other, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "1" * 32, "00f067aa0ba902b7"
    with services.client() as client:
        headers = {"b3": f"{trace_id}-{caller}-1", "traceparent": f"00-{other}-{caller}-01"}
        assert client.get("/api/datasets", headers=headers).headers["X-Trace-Id"] == trace_id
    received = receiver.wait_for(
        lambda received: (
            {span.service for span in received.spans if span.trace_id == trace_id and span.kind == SERVER}
            == {"gateway", "engine"}
        )
    )
    tree = Tree(received, trace_id)
    assert tree.one("gateway", "GET /api/datasets", SERVER).parent_id == caller
    assert tree.parent(tree.one("engine", "GET /api/datasets", SERVER)).service == "gateway"
    assert not [span for span in received.spans if span.trace_id == other]


def test_a_background_job_is_a_trace_of_its_own_that_links_to_its_request(
    services: Services, receiver: Receiver
) -> None:
    services.environment |= {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.http_url}/v1/traces"}
    services.start_both()
    with services.client() as client:
        answer = client.post("/api/analyze/comprehensive", json=ANALYSIS, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    request = answer.headers["X-Trace-Id"]
    received = receiver.wait_for(lambda received: any(span.name == "job" for span in received.spans))
    job = next(span for span in received.spans if span.name == "job")
    assert job.trace_id != request
    assert job.links == (request,)
    tree = Tree(receiver.received, job.trace_id)
    assert job in tree.above(tree.one("engine", "worker analyze", INTERNAL))


def test_a_request_that_ran_out_of_time_shows_what_its_worker_was_at(services: Services, receiver: Receiver) -> None:
    services.environment |= {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.http_url}/v1/traces"}
    services.start_both()
    long = {
        **ANALYSIS,
        "mapping": {**ANALYSIS["mapping"], "covariates": ["x1", "x2"]},
        "options": {"repetitions": 16000},
    }
    with services.client() as client:
        answer = client.post("/api/analyze/comprehensive", json=long, headers={"X-Request-Timeout-Ms": "2500"})
    assert answer.status_code == 504, answer.text
    trace_id = answer.headers["X-Trace-Id"]
    wanted = {("engine", "worker analyze"), ("engine", "computation"), ("gateway", ROUTE)}
    received = receiver.wait_for(
        lambda received: wanted <= {(span.service, span.name) for span in received.spans if span.trace_id == trace_id}
    )
    tree = Tree(received, trace_id)
    cut = tree.one("engine", "unfinished step", INTERNAL)
    computed = tree.one("engine", "worker analyze", INTERNAL)
    assert tree.parent(cut) is computed
    assert str(cut.attributes["cqox.after"]).startswith("estimate.")
    assert cut.end_ns - cut.start_ns > 0.5e9
    # A cancellation is marked as one all the way up, and is an error only in the gateway's answer.
    for span in (cut, computed, tree.one("engine", "computation", INTERNAL)):
        assert span.attributes["cqox.cancelled"] is True
        assert span.status == 0
    assert tree.one("gateway", ROUTE, SERVER).status == 2


def test_an_engine_that_is_away_is_seen_as_attempts_waits_and_a_refusal(services: Services, receiver: Receiver) -> None:
    services.environment |= {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.http_url}/v1/traces"}
    services.ports["engine"] = 1
    services.start("gateway")
    services.wait_ready("gateway")
    with services.client() as client:
        answer = client.get("/api/datasets")
    assert answer.status_code == 503
    trace_id = answer.json()["trace_id"]
    received = receiver.wait_for(
        lambda received: any(span.trace_id == trace_id and span.kind == SERVER for span in received.spans)
    )
    tree = Tree(received, trace_id)
    root = tree.one("gateway", "GET /api/datasets", SERVER)
    assert root.status == 2
    assert root.attributes["error.type"] == "503"
    attempts = [span for span in tree.spans if span.kind == CLIENT]
    assert len(attempts) == 3
    assert [span.attributes.get("http.request.resend_count") for span in attempts] == [None, 1, 2]
    assert all(span.status == 2 for span in attempts)
    assert {"wait before attempt 2", "wait before attempt 3"} <= {span.name for span in tree.spans}
    events = [name for name, _ in root.events]
    assert events.count("retry scheduled") == 2
    assert "gave up" in events
    assert "exception" in events
