"""The gateway's routes: each operation of the contract is forwarded to an engine under its policy."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, contextmanager
from dataclasses import replace
from http import HTTPStatus

import structlog
from quart.typing import ResponseTypes
from quart_trio.wrappers import TrioResponse
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestHeaderFieldsTooLarge

from cqox.contract.messages import LANGUAGES, Message, translate_document
from cqox.errors import DeadlineExceeded, EngineUnavailable, RateLimited
from cqox.resilience.runtime.caller import caller
from services.gateway.answer_cache import KEPT, AnswerCache, set_recorded
from services.gateway.authentication import KeyAuthenticator
from services.gateway.deadlines import Granted, granted
from services.gateway.engine_client import Call, Reply, ResponseContract, Streamed, end_to_end
from services.gateway.engine_client import Headers as HeaderFields
from services.gateway.hop import HopWriter
from services.gateway.policies import READ_SECONDS, EnginePolicies
from services.gateway.representations import represented, returned
from services.gateway.response_contract import expected, problem_of
from services.gateway.upload_quota import UploadQuota
from services.http.contract.api import OPERATIONS, OWN_GROUPS, Operation, operation
from services.http.contract.registration import Handler, answer_directly, register
from services.http.request.bodies import chunks_of, declared_length, read_body, read_json_bytes
from services.http.request.digests import verified
from services.http.request.propagation import own_key, serving
from services.http.request.proxied import AnyRequest
from services.http.request.request import current_request
from services.http.request.uploads import FORM_BYTES
from services.http.response.plain import AnyResponse, PlainResponse
from services.http.response.problems import describe
from services.http.response.translation import translate_members
from services.http.security.audited import Audited
from services.http.security.requester import principal_of, seconds_until_known
from services.http.server.app import App, ProxyHandler
from services.http.statuses import NOT_CURED_BY_WAITING, is_error, is_server_error

__all__ = ["EngineAccess", "add_routes"]

_log = structlog.stdlib.get_logger("cqox.gateway")

_HEAD_BYTES = 14 * 2**10
"""Largest request head that is forwarded: an engine reads 16 KiB, and the gateway adds fields of its own."""

_STREAMED = frozenset({"upload_dataset", "append_piece", "job_events"})
"""Operations whose request or response is a stream, which goes through Quart."""

_EVENT_END = b"\n\n"
_AS_A_JOB = Message("problems.in-the-background")

_FORWARDED = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"content-digest",
        b"content-encoding",
        b"content-type",
        b"idempotency-key",
        b"if-match",
        b"last-event-id",
        b"prefer",
        b"share-token",
        b"transfer-encoding",
        b"user-agent",
        b"traceparent",
        b"tracestate",
        b"upload-offset",
        b"baggage",
    }
)
"""Request header fields that are forwarded to an engine; all others are dropped.

Dropped are credentials under any name but the token of a share link, which the engine checks, and fields of proxies and
browsers about the origin of a request, which the gateway has checked. Deadline, attempt and criticality are written
for each attempt.
"""


class EngineAccess:
    """The routes' access to the engines.

    Attributes:
        policies: set while the app serves.
        uploads: counts the bytes of uploads.
        cache: keeps answers that do not change for a moment.
        writer: says to an engine who a request comes from; None where the services have no login.
        keys: what is known of API keys; None where the services have no login.
    """

    policies: EnginePolicies
    uploads = UploadQuota(None)
    cache = AnswerCache(0)
    writer: HopWriter | None = None
    keys: KeyAuthenticator | None = None


def add_routes(app: App, engines: EngineAccess) -> None:
    """Register every operation of the contract on the app."""
    settings = app.settings

    def call_of(request: AnyRequest, body: bytes, contract: ResponseContract) -> Call:
        call, principal = _call(request, body, contract), principal_of(request.scope)
        if engines.writer is None or principal is None:
            return call
        return replace(call, hop=engines.writer.of(principal))

    async def asked(request: AnyRequest, what: Operation, parameters: Mapping[str, str]) -> Call:
        # Reject a body that is not declared as JSON here: an engine would do so only after receiving it.
        read = read_json_bytes if isinstance(what.body, type) else read_body
        body = await read(request, max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        return call_of(request, body, expected(what, parameters, events=request.wants_events))

    @contextmanager
    def serving_within(request: AnyRequest, most: float, otherwise: Message | None = None) -> Iterator[Granted]:
        fields, spent = request.call_fields, seconds_until_known(request.scope)
        given = granted(fields, most=most, otherwise=otherwise, spent=spent, request=request)
        with given.translate(), serving(fields), caller(_tenant(request)):
            if given.left <= 0:
                raise DeadlineExceeded(0.0)
            yield given

    async def analyze(request: AnyRequest) -> AnyResponse:
        call = await asked(request, operation("analyze"), {})
        with serving_within(request, settings.analysis_seconds, _AS_A_JOB) as given:
            call = replace(call, headers=(*call.headers, given.field))
            if request.wants_events:
                streaming = engines.policies.analyze_stream(call, seconds=given.left)
                return await _streamed(request, streaming, given, final_event=True)
            return await _answer(request, await engines.policies.analyze(call, seconds=given.left), given)

    def reading(what: Operation, most: float = READ_SECONDS) -> Callable[..., Awaitable[PlainResponse]]:
        async def read(request: AnyRequest, **parameters: str) -> PlainResponse:
            call = await asked(request, what, parameters)
            with serving_within(request, most) as given:
                return await _answer(request, await engines.policies.read(call, seconds=given.left), given, what)

        return read

    def finding(what: Operation, most: float = READ_SECONDS) -> ProxyHandler:
        async def find(request: AnyRequest, **parameters: str) -> PlainResponse:
            with serving_within(request, most) as given:
                call = call_of(request, b"", expected(what, parameters))
                return await _answer(request, await engines.policies.find(call, seconds=given.left), given, what)

        return find

    def ingesting(what: Operation) -> ProxyHandler:
        async def ingest(request: AnyRequest, **parameters: str) -> PlainResponse:
            call = await asked(request, what, parameters)
            with serving_within(request, settings.analysis_seconds) as given:
                return await _answer(request, await engines.policies.ingest(call, seconds=given.left), given)

        return ingest

    async def follow(request: AnyRequest, **parameters: str) -> AnyResponse:
        with serving_within(request, READ_SECONDS) as given:
            call = call_of(request, b"", expected(operation("job_events"), parameters))
            # A job may outlive the connection that carried its events, so a final event from here could be false.
            streaming = engines.policies.follow(call, seconds=given.left)
            return await _streamed(request, streaming, given, final_event=False)

    async def upload_dataset(request: AnyRequest) -> PlainResponse:
        # The engine enforces the limit on the file itself.
        most = settings.max_upload_bytes + FORM_BYTES
        length = declared_length(request, max_bytes=most, what="file")
        place = engines.policies.upload_place(_tenant(request))
        chunks = chunks_of(request, max_bytes=most, pace=settings.body_pace, what="file", stalled=place.leave)
        chunks = engines.uploads.counted(request.scope, chunks, length)
        headers = () if length is None else ((b"content-length", str(length).encode()),)
        call = call_of(request, b"", expected(operation("upload_dataset"), {}))
        call = replace(call, headers=call.headers + headers, content=chunks)
        with serving_within(request, settings.analysis_seconds) as given:
            reply = await engines.policies.upload(call, seconds=given.left, place=place)
            return await _answer(request, reply, given)

    async def append_piece(request: AnyRequest, **parameters: str) -> PlainResponse:
        what = operation("append_piece")
        length = declared_length(request, max_bytes=settings.max_upload_bytes, what="piece")
        place = engines.policies.upload_place(_tenant(request))
        chunks = chunks_of(
            request, max_bytes=settings.max_upload_bytes, pace=settings.body_pace, what="piece", stalled=place.leave
        )
        chunks = engines.uploads.counted(request.scope, chunks, length)
        headers = () if length is None else ((b"content-length", str(length).encode()),)
        call = call_of(request, b"", expected(what, parameters))
        question = replace(call, method="GET", contract=expected(operation("read_upload"), parameters))
        call = replace(call, headers=call.headers + headers, content=verified(request, chunks))
        with serving_within(request, READ_SECONDS) as given:
            sent = engines.policies.append(call, question, seconds=given.left, place=place)
            return await _answer(request, await sent, given)

    async def revoke_key(request: AnyRequest, key_id: str) -> AnyResponse:
        answer = await reading(operation("revoke_key"))(request, key_id=key_id)
        if engines.keys is not None:
            engines.keys.forget(key_id)
        return answer

    handlers: dict[str, ProxyHandler] = {
        each.name: reading(each) for each in OPERATIONS if each.group not in OWN_GROUPS
    }
    special: dict[str, ProxyHandler] = {
        "analyze": analyze,
        "upload_dataset": upload_dataset,
        # Of a large table, most of a preview is reading its columns.
        "preview": reading(operation("preview"), settings.analysis_seconds),
        # Of a table in place every row is summed.
        "infer_roles": reading(operation("infer_roles"), settings.analysis_seconds),
        # Drawing a dozen figures at the resolution of print takes a while on a machine that computes.
        "export_analysis": reading(operation("export_analysis"), settings.analysis_seconds),
        "export_shared": reading(operation("export_shared"), settings.analysis_seconds),
        # The engine that computed a report holds it until it is stored.
        "delete_analysis": finding(operation("delete_analysis")),
        # The engine on whose disk the uploaded file is.
        "list_sheets": finding(operation("list_sheets"), settings.analysis_seconds),
        "append_piece": append_piece,
        "read_upload": finding(operation("read_upload")),
        "delete_upload": finding(operation("delete_upload")),
        "read_uploaded": ingesting(operation("read_uploaded")),
        "read_again": ingesting(operation("read_again")),
        "read_job": finding(operation("read_job")),
        "cancel_job": finding(operation("cancel_job")),
        "job_events": follow,
        "revoke_key": revoke_key,
    }
    handlers |= special

    def admitted(request: AnyRequest) -> AbstractContextManager[Granted]:
        return serving_within(request, READ_SECONDS)

    handlers |= {name: engines.cache.keeping(reading(operation(name)), admitted) for name in KEPT}
    for name, handler in handlers.items():
        if operation(name).audited is Audited.STORED:
            handlers[name] = engines.cache.forgetting(handler)
    register(app, {name: _by_quart(handler) for name, handler in handlers.items()})
    for name in handlers.keys() - _STREAMED:
        answer_directly(app, operation(name), handlers[name])


def _by_quart(handler: ProxyHandler) -> Handler:
    async def handle(**parameters: str) -> ResponseTypes:
        answer = await handler(current_request(), **parameters)
        return _of_quart(answer) if isinstance(answer, PlainResponse) else answer

    return handle


def _of_quart(answer: PlainResponse) -> TrioResponse:
    response = TrioResponse(answer.body, answer.status_code)
    response.headers = Headers([*answer.headers])
    return response


def _tenant(request: AnyRequest) -> str | None:
    """Return the tenant that shares the engines' slots with others; None for an operation that is open to everybody."""
    principal = principal_of(request.scope)
    return None if principal is None else principal.tenant


def _call(request: AnyRequest, body: bytes, contract: ResponseContract) -> Call:
    """Build the call of the engine from the client's request.

    Raises:
        RequestHeaderFieldsTooLarge: the head may exceed an engine's limit (werkzeug's, 431).
    """
    scope = request.scope
    query = scope["query_string"]
    size_bytes = (
        len(scope["raw_path"]) + len(query) + sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    )
    if size_bytes > _HEAD_BYTES:
        raise RequestHeaderFieldsTooLarge(Message("request.head-too-large-to-forward", most=_HEAD_BYTES))
    own = [(b"x-request-id", request.request_id.encode())]
    if request.method == "POST" and not request.values_of("Idempotency-Key"):
        own.append((b"idempotency-key", own_key().encode()))
    return Call(
        # The connection drops the body of a response to HEAD; Content-Length must still be that of GET.
        method="GET" if request.method == "HEAD" else request.method,
        target=scope["raw_path"] + (b"?" + query if query else b""),
        headers=(*_forwarded(list(scope["headers"])), *own),
        content=body,
        contract=contract,
    )


def _forwarded(headers: list[tuple[bytes, bytes]]) -> HeaderFields:
    """Return the request header fields that are forwarded to the engine."""
    return tuple((name, value) for name, value in end_to_end(headers) if name in _FORWARDED)


async def _answer(request: AnyRequest, reply: Reply, given: Granted, what: Operation | None = None) -> PlainResponse:
    """Return the engine's response to the client; log a rejection or failure and set its `Retry-After`.

    Raises:
        DeadlineExceeded: a 504 without a problem body, such as that of a proxy.
        RateLimited: a 429 without a problem body.
        EngineUnavailable: the engine does not trust this gateway.
    """
    if reply.recorded:
        set_recorded(request.scope)
    if reply.status == HTTPStatus.UNAUTHORIZED:
        # The client has been authenticated here: it is this gateway that the engine does not trust.
        _log.error("an engine does not take this gateway for one; compare CQOX_HOP_KEY, CQOX_AUTH and the clocks")
        raise EngineUnavailable(Message("security.gateway-untrusted"))
    if not is_server_error(reply.status) and reply.status != HTTPStatus.TOO_MANY_REQUESTS:
        fields, conditional = request.scope["headers"], what is not None and what.conditional
        return _of(await represented(reply, method=request.method, fields=list(fields), conditional=conditional))
    reply = given.annotate(reply, request.language)
    problem = problem_of(reply)
    if not problem and reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimited("the engine", retry_after=_seconds(reply.header(b"retry-after")))
    if not problem and reply.status == HTTPStatus.GATEWAY_TIMEOUT:
        raise DeadlineExceeded(given.seconds)
    _log.warning(
        str(problem.get("type", "")),
        request_id=request.request_id,
        path=request.path,
        status=reply.status,
        detail=_detail_in_english(problem),
    )
    response = _of(await represented(reply, method=request.method, fields=()))
    if reply.status not in NOT_CURED_BY_WAITING:
        response.headers.setdefault("Retry-After", "1")
    return response


def _detail_in_english(problem: Mapping[str, object]) -> str:
    """Return the detail for the log, which is English also where the client's problem is not."""
    members, messages = {"detail": problem.get("detail", "")}, problem.get("messages")
    if isinstance(messages, Mapping):
        translate_document(members, messages, LANGUAGES[0])
    return str(members["detail"])


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10 else 0.0


async def _streamed(
    request: AnyRequest, streaming: AbstractAsyncContextManager[Streamed], given: Granted, *, final_event: bool
) -> AnyResponse:
    # Await the headers here, so that an unavailable engine gives a problem and not an empty stream.
    stack = AsyncExitStack()
    streamed = await stack.enter_async_context(streaming)
    if is_error(streamed.status):
        async with stack:
            return await _answer(request, await streamed.read_all(), given)

    async def chunks() -> AsyncGenerator[bytes]:
        last = _EVENT_END
        async with stack:
            try:
                async for data in streamed.chunks:
                    yield data
                    last = (last + data)[-len(_EVENT_END) :]
            except EngineUnavailable as error:
                # In the middle of an event the client would parse the final event as the rest of it.
                if not final_event or last != _EVENT_END:
                    raise
                _log.warning("the stream of %s ended before its last event: %s", request.path, error)
                yield _last_event(error, request)

    response = TrioResponse(chunks(), streamed.status)
    response.headers = Headers(_text_fields(returned(streamed.headers)))
    return response


def _last_event(error: EngineUnavailable, request: AnyRequest) -> bytes:
    problem = describe(error, instance=request.path, request_id=request.request_id)
    translate_members(problem, request.language)
    return f"event: failed\ndata: {json.dumps(problem, ensure_ascii=False)}\n\n".encode()


def _of(reply: Reply) -> PlainResponse:
    # In a 304 it would be the length of the content that is not sent (RFC 9110, section 8.6).
    sized = reply.status != HTTPStatus.NOT_MODIFIED
    return PlainResponse(reply.body, reply.status, _text_fields(reply.headers), sized=sized)


def _text_fields(headers: HeaderFields) -> list[tuple[str, str]]:
    return [(name.decode("latin1"), value.decode("latin1")) for name, value in headers]
