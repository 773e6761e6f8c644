import anyio
import httpx
import pytest
from opentelemetry.trace import SpanKind

from cqox.telemetry import metric_definitions, span
from cqox.telemetry.http_client import TracedTransport
from tests.measured import Measured
from tests.telemetry.conftest import Kept

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


def client(answer) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=TracedTransport(httpx.MockTransport(answer)), base_url="http://engine:8080")


async def test_a_request_is_a_client_span_whose_context_goes_along_in_place_of_the_senders(
    kept: Kept, measured: Measured
) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b"{}"))

    async with client(answer) as http:
        with span("around"):
            stale = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "X-Retry-Attempt": "2"}
            await http.get("/api/datasets?name=secret", headers=stale)
    sent, around = kept.named("GET"), kept.named("around")
    assert sent.kind is SpanKind.CLIENT
    assert sent.parent.span_id == around.context.span_id
    assert seen[0].headers.get_list("traceparent") == [
        f"00-{sent.context.trace_id:032x}-{sent.context.span_id:016x}-01"
    ]
    assert sent.attributes == {
        "http.request.method": "GET",
        "server.address": "engine",
        "server.port": 8080,
        "url.full": "http://engine:8080/api/datasets",
        "http.request.resend_count": 2,
        "http.response.status_code": 200,
    }
    assert measured.of(metric_definitions.HTTP_CLIENT_DURATION) == [
        {
            "http.request.method": "GET",
            "server.address": "engine",
            "server.port": 8080,
            "http.response.status_code": 200,
        }
    ]


async def test_an_answer_that_is_an_error_is_one_of_the_span_too(kept: Kept, measured: Measured) -> None:
    async with client(lambda request: httpx.Response(503)) as http:
        await http.get("/")
    assert kept.named("GET").attributes["error.type"] == "503"
    assert not kept.named("GET").status.is_ok
    assert measured.of(metric_definitions.HTTP_CLIENT_DURATION)[0]["error.type"] == "503"


async def test_a_connection_that_fails_is_recorded(kept: Kept) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with client(refuse) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("/")
    assert kept.named("GET").attributes["error.type"] == "ConnectError"
    assert [event.name for event in kept.named("GET").events] == ["exception"]


async def test_a_request_that_is_cut_off_is_an_error_without_an_exception(kept: Kept) -> None:
    class Hanging(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await anyio.sleep_forever()
            raise AssertionError

    async with httpx.AsyncClient(transport=TracedTransport(Hanging())) as http:
        with anyio.move_on_after(0.01):
            await http.get("http://engine/")
    hung = kept.named("GET")
    assert hung.attributes["cqox.cancelled"] is True
    assert not hung.events
    assert not hung.status.is_ok
    assert hung.attributes["error.type"] in ("Cancelled", "CancelledError")


async def test_the_span_lasts_until_the_body_is_read_or_given_up(kept: Kept) -> None:
    class Endless(httpx.AsyncByteStream):
        def __aiter__(self):
            return self

        async def __anext__(self) -> bytes:
            return b"more"

    async with client(lambda request: httpx.Response(200, stream=Endless())) as http:
        async with http.stream("GET", "/"):
            assert kept.spans == ()
        assert kept.named("GET").attributes["http.response.status_code"] == 200


async def test_probes_leave_no_span_and_no_measure(kept: Kept, measured: Measured) -> None:
    async with client(lambda request: httpx.Response(200)) as http:
        await http.get("/health/live")
    assert kept.spans == ()
    assert measured.values == []


async def test_without_a_recorder_the_senders_context_passes_unchanged(measured: Measured) -> None:
    parent = f"00-{'1' * 32}-{'2' * 16}-01"
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    async with client(answer) as http:
        await http.get("/", headers={"traceparent": parent})
    assert seen[0].headers["traceparent"] == parent
    assert len(measured.of(metric_definitions.HTTP_CLIENT_DURATION)) == 1
