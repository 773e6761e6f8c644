"""The server span and the metrics of a request, and the members that link a response to its trace."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from cqox import telemetry
from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.metric_definitions import Series
from services.http.observability.tracing import Exchange, link_traces, route_of, trace_members
from services.http.request.request import IncomingRequest
from tests.services.http.request.test_language import asked


class Sink:
    """Keeps the labels of what is measured, by the name of the metric."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, dict[str, str | int]]] = []

    def take(self, series: Series, value: float, labels) -> None:
        assert value >= 0
        self.kept.append((series.name, dict(labels)))


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    metrics.deliver_to(made)
    yield made
    metrics.deliver_to(None)


def routed(rule: str) -> IncomingRequest:
    request = asked()
    request.url_rule = SimpleNamespace(rule=rule)
    return request


@pytest.mark.parametrize(
    ("rule", "route"),
    [
        ("/api/jobs", "/api/jobs"),
        ("/api/jobs/<job_id>", "/api/jobs/{job_id}"),
        ("/a/<path:rest>/<name>.<any(svg,png):suffix>", "/a/{rest}/{name}.{suffix}"),
    ],
)
def test_a_route_is_written_as_in_the_contract(rule: str, route: str) -> None:
    assert route_of(routed(rule)) == route


def test_a_request_without_a_route_has_none() -> None:
    assert route_of(asked()) == ""


def test_a_request_is_measured_by_method_status_and_route(sink: Sink) -> None:
    duration, timeouts = metric_definitions.HTTP_SERVER_DURATION.name, metric_definitions.TIMEOUTS.name
    with Exchange(routed("/api/jobs/<job_id>")) as exchange:
        exchange.answered(200, complete=True, size_bytes=2)
        exchange.answered(504, complete=True, size_bytes=2)
    with Exchange(asked()) as exchange:
        exchange.answered(None, complete=False, size_bytes=0)
    route = {"http.request.method": "GET", "http.route": "/api/jobs/{job_id}"}
    assert sink.kept == [
        (duration, route | {"http.response.status_code": 200}),
        (duration, route | {"http.response.status_code": 504, "error.type": "504"}),
        (timeouts, {"policy": "request"}),
        (duration, {"http.request.method": "GET", "http.response.status_code": 499}),
    ]


def test_a_deadline_that_the_client_chose_is_no_failure_of_the_service(sink: Sink) -> None:
    request = routed("/api/jobs/<job_id>")
    request.client_deadline_passed = True
    with Exchange(request) as exchange:
        exchange.answered(504, complete=True, size_bytes=2)
    assert [labels["error.type"] for _, labels in sink.kept if "error.type" in labels] == ["ClientDeadline"]


def test_an_unknown_method_is_no_time_series_of_its_own(sink: Sink) -> None:
    request = asked()
    request.method = "BREW"
    with Exchange(request) as exchange:
        exchange.answered(501, complete=True, size_bytes=0)
    ((_, labels),) = sink.kept
    assert labels["http.request.method"] == "_OTHER"


def test_members_link_to_the_trace_of_the_request_and_are_absent_outside_of_one() -> None:
    assert trace_members() == {}
    try:
        with Exchange(asked()):
            current = telemetry.current()
            assert current is not None
            assert trace_members() == {"trace_id": current.trace_id}
            link_traces("https://traces.test/{trace_id}?x")
            assert trace_members()["trace_url"] == f"https://traces.test/{current.trace_id}?x"
    finally:
        link_traces("")
