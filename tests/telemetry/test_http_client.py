import anyio
import httpx
import pytest
from opentelemetry.trace import SpanKind

from cqox.telemetry import metric_definitions, span
from cqox.telemetry.http_client import ClientExchange, is_probe
from tests.measured import Measured
from tests.recorded import Kept

TARGET = {"http.request.method": "GET", "server.address": "engine", "server.port": 8080}


def begun(headers: httpx.Headers | None = None) -> ClientExchange:
    return ClientExchange(
        "GET",
        host="engine",
        port=8080,
        url=lambda: "http://engine:8080/api/datasets",
        headers=httpx.Headers() if headers is None else headers,
    )


def test_a_request_is_a_client_span_whose_context_goes_along_in_place_of_the_senders(
    kept: Kept, measured: Measured
) -> None:
    headers = httpx.Headers({"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "X-Retry-Attempt": "2"})
    with span("around"):
        exchange = begun(headers)
        exchange.answered(200)
        exchange.end()
    sent, around = kept.named("GET"), kept.named("around")
    assert sent.kind is SpanKind.CLIENT
    assert sent.parent.span_id == around.context.span_id
    assert headers.get_list("traceparent") == [f"00-{sent.context.trace_id:032x}-{sent.context.span_id:016x}-01"]
    assert sent.attributes == {
        **TARGET,
        "url.full": "http://engine:8080/api/datasets",
        "http.request.resend_count": 2,
        "http.response.status_code": 200,
    }
    assert measured.of(metric_definitions.HTTP_CLIENT_DURATION) == [{**TARGET, "http.response.status_code": 200}]


@pytest.mark.parametrize("attempt", ["0", "-1", "soon", ""])
def test_a_first_attempt_is_no_repeated_one(kept: Kept, attempt: str) -> None:
    begun(httpx.Headers({"X-Retry-Attempt": attempt})).end()
    assert "http.request.resend_count" not in kept.named("GET").attributes


def test_an_answer_that_is_an_error_is_one_of_the_span_too(kept: Kept, measured: Measured) -> None:
    exchange = begun()
    exchange.answered(503)
    exchange.end()
    assert kept.named("GET").attributes["error.type"] == "503"
    assert not kept.named("GET").status.is_ok
    assert measured.of(metric_definitions.HTTP_CLIENT_DURATION) == [
        {**TARGET, "http.response.status_code": 503, "error.type": "503"}
    ]


def test_a_connection_that_fails_is_recorded(kept: Kept, measured: Measured) -> None:
    begun().end(httpx.ConnectError("refused"))
    assert kept.named("GET").attributes["error.type"] == "ConnectError"
    assert [event.name for event in kept.named("GET").events] == ["exception"]
    assert measured.of(metric_definitions.HTTP_CLIENT_DURATION) == [{**TARGET, "error.type": "ConnectError"}]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_request_that_is_cut_off_is_an_error_without_an_exception(kept: Kept) -> None:
    exchange = begun()
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep_forever()
        except BaseException as error:
            exchange.end(error)
            raise
    hung = kept.named("GET")
    assert hung.attributes["cqox.cancelled"] is True
    assert not hung.events
    assert not hung.status.is_ok
    assert hung.attributes["error.type"] in ("Cancelled", "CancelledError")


def test_what_ended_first_counts(kept: Kept, measured: Measured) -> None:
    exchange = begun()
    exchange.answered(200)
    exchange.end(httpx.ReadError("reset"))
    exchange.end()
    assert kept.named("GET").attributes["error.type"] == "ReadError"
    assert [one["error.type"] for one in measured.of(metric_definitions.HTTP_CLIENT_DURATION)] == ["ReadError"]


def test_without_a_recorder_the_senders_context_passes_unchanged(measured: Measured) -> None:
    parent = f"00-{'1' * 32}-{'2' * 16}-01"
    headers = httpx.Headers({"traceparent": parent})
    begun(headers).end()
    assert headers["traceparent"] == parent
    assert len(measured.of(metric_definitions.HTTP_CLIENT_DURATION)) == 1


@pytest.mark.parametrize(
    ("path", "probe"),
    [("/health/live", True), ("/api/health", True), ("/api/datasets", False), ("/", False)],
)
def test_the_paths_of_probes_are_known(path: str, probe: bool) -> None:
    assert is_probe(path) is probe
