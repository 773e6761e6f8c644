"""The gateway's routes: each operation of the contract is handed to the engine under the policy that fits it."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import replace

from quart.typing import ResponseReturnValue
from quart_trio.wrappers import TrioResponse

from cqox.errors import DeadlineExceeded
from services.gateway.deadlines import Granted, granted
from services.gateway.engine_client import Call, Headers, Reply, Streamed, end_to_end
from services.gateway.policies import READ_SECONDS, EnginePolicies
from services.http.api import OPERATIONS, OWN_GROUPS, Handler, register
from services.http.app import App
from services.http.bodies import chunks_of, declared_length, read_body
from services.http.hop import SECOND_HAND, own_key, serving
from services.http.incoming import IncomingRequest, current_request
from services.http.uploads import FORM_BYTES

__all__ = ["Upstream", "add_routes"]

_AS_A_JOB = "With 'Prefer: respond-async' an analysis runs in the background, where it may take longer."

# The client's connection says nothing about the engine's; lengths and the id are written anew.
_NOT_FORWARDED = frozenset(
    {
        b"host",
        b"content-length",
        b"expect",
        b"x-request-id",
        b"remote-addr",
        # Written anew for each attempt.
        b"x-request-timeout-ms",
        b"x-envoy-expected-rq-timeout-ms",
        b"x-retry-attempt",
        b"x-criticality",
    }
)
_NOT_RETURNED = frozenset({b"content-length", b"date", b"server", b"x-request-id", SECOND_HAND.lower().encode()})


class Upstream:
    """The engine as routes see it; `policies` is there while the app serves."""

    policies: EnginePolicies


def add_routes(app: App, upstream: Upstream) -> None:
    """Put every operation of the contract on the app."""
    settings = app.settings

    async def asked() -> Call:
        request = current_request()
        body = await read_body(request, max_bytes=settings.max_body_bytes, idle_seconds=settings.upload_idle_seconds)
        return _call(request, body)

    @contextmanager
    def serving_within(most: float, otherwise: str = "") -> Iterator[Granted]:
        fields = current_request().call_fields
        given = granted(fields, most=most, otherwise=otherwise)
        with given.told(), serving(fields):
            if given.seconds <= 0:
                raise DeadlineExceeded(0.0)
            yield given

    async def analyze() -> ResponseReturnValue:
        call = await asked()
        with serving_within(settings.analysis_seconds, _AS_A_JOB) as given:
            if current_request().wants_events:
                return await _streamed(upstream.policies.analyze_bit_by_bit(call, seconds=given.seconds), given)
            return _response(given.explained(await upstream.policies.analyze(call, seconds=given.seconds)))

    async def read(**_: str) -> TrioResponse:
        call = await asked()
        with serving_within(READ_SECONDS) as given:
            return _response(given.explained(await upstream.policies.read(call, seconds=given.seconds)))

    async def find(**_: str) -> TrioResponse:
        with serving_within(READ_SECONDS) as given:
            call = _call(current_request(), b"")
            return _response(given.explained(await upstream.policies.find(call, seconds=given.seconds)))

    async def follow(**_: str) -> ResponseReturnValue:
        with serving_within(READ_SECONDS) as given:
            call = _call(current_request(), b"")
            return await _streamed(upstream.policies.follow(call, seconds=given.seconds), given)

    async def upload_dataset() -> TrioResponse:
        request = current_request()
        # The engine counts the file itself.
        most = settings.max_upload_bytes + FORM_BYTES
        length = declared_length(request, max_bytes=most, what="file")
        chunks = chunks_of(request, max_bytes=most, idle_seconds=settings.upload_idle_seconds, what="file")
        headers = () if length is None else ((b"content-length", str(length).encode()),)
        call = _call(request, b"")
        call = replace(call, headers=call.headers + headers, content=chunks)
        with serving_within(settings.analysis_seconds) as given:
            return _response(given.explained(await upstream.policies.upload(call, seconds=given.seconds)))

    handlers: dict[str, Handler] = {each.name: read for each in OPERATIONS if each.group not in OWN_GROUPS}
    special: dict[str, Handler] = {
        "analyze": analyze,
        "upload_dataset": upload_dataset,
        "read_job": find,
        "cancel_job": find,
        "job_events": follow,
    }
    register(app, handlers | special)


def _call(request: IncomingRequest, body: bytes) -> Call:
    scope = request.scope
    query = scope["query_string"]
    own = [(b"x-request-id", request.request_id.encode())]
    if request.method == "POST" and "Idempotency-Key" not in request.headers:
        own.append((b"idempotency-key", own_key().encode()))
    return Call(
        # The connection drops the body of an answer to HEAD; its length must still be that of GET.
        method="GET" if request.method == "HEAD" else request.method,
        target=scope["raw_path"] + (b"?" + query if query else b""),
        headers=(*end_to_end(list(scope["headers"]), without=_NOT_FORWARDED), *own),
        content=body,
    )


def _response(reply: Reply) -> TrioResponse:
    return _with_headers(TrioResponse(reply.body, reply.status), reply.headers)


async def _streamed(streaming: AbstractAsyncContextManager[Streamed], given: Granted) -> TrioResponse:
    # The head is awaited here, so that an engine that is away is a problem and no empty stream.
    stack = AsyncExitStack()
    streamed = await stack.enter_async_context(streaming)
    if streamed.status == 504:
        async with stack:
            return _response(given.explained(await streamed.whole()))

    async def chunks() -> AsyncGenerator[bytes]:
        async with stack:
            async for data in streamed.chunks:
                yield data

    return _with_headers(TrioResponse(chunks(), streamed.status), streamed.headers)


def _with_headers(response: TrioResponse, headers: Headers) -> TrioResponse:
    response.headers.remove("Content-Type")
    for name, value in end_to_end(headers, without=_NOT_RETURNED):
        response.headers.add(name.decode("latin1"), value.decode("latin1"))
    return response
