"""Translation of exceptions to RFC 9457 problem details, with their HTTP statuses.

A client error is a 4xx that says what to change. An exception that is not in the table is a bug: a 500 whose body has
the request id and whose traceback is logged once.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from quart.wrappers.base import ClientDisconnectedError
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from cqox.contract.messages import Message, collect_messages, of
from cqox.errors import (
    AttemptTimeout,
    BodyCorrupted,
    BulkheadFull,
    CircuitOpen,
    DeadlineExceeded,
    Draining,
    EngineUnavailable,
    IdentityProviderUnavailable,
    InputError,
    InvalidRequest,
    KeyReused,
    LimitExceeded,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PermissionMissing,
    PreconditionFailed,
    QuotaExceeded,
    RateLimited,
    Rejected,
    RunsElsewhere,
    ServiceError,
    Shed,
    SourceDown,
    SourceUnavailable,
    StorageFull,
    StoreUnavailable,
    TooManyListeners,
    UnreadableFile,
    UnusableData,
    UploadConflict,
    WorkerLost,
    WorkersUnavailable,
)
from cqox.telemetry import current_span
from services.config.hosts import ForeignHost
from services.http.observability.tracing import trace_members
from services.http.request.bodies import OtherMediaType
from services.http.request.origin import CrossSiteRequest
from services.http.request.upload_offset import UPLOAD_OFFSET
from services.http.response.challenges import challenge_of
from services.http.response.error_details import detail_of, title_of
from services.http.response.translation import add_language, translate_members
from services.http.statuses import is_error, is_server_error

if TYPE_CHECKING:
    from services.http.request.proxied import AnyRequest

__all__ = ["Kind", "answer", "describe", "kind_of", "kinds", "refused", "select_error"]

_log = structlog.stdlib.get_logger("cqox.http")


_TOO_MANY, _AWAY = HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of problem.

    Attributes:
        type: its identifier, RFC 9457's `type`.
        status: the HTTP status.
        title: a short description.
        retry_after: default seconds of `Retry-After`, where the error has none; None where a retry does not help.
    """

    type: str
    status: HTTPStatus
    title: Message
    retry_after: float | None = None


_KINDS: dict[type[Exception], Kind] = {
    InvalidRequest: Kind(
        type="invalid-request", status=HTTPStatus.BAD_REQUEST, title=Message("problems.title-invalid-request")
    ),
    CrossSiteRequest: Kind(
        type="cross-site-request", status=HTTPStatus.FORBIDDEN, title=Message("problems.title-cross-site-request")
    ),
    NotAuthenticated: Kind(
        type="not-authenticated", status=HTTPStatus.UNAUTHORIZED, title=Message("problems.title-not-authenticated")
    ),
    PermissionMissing: Kind(
        type="permission-missing", status=HTTPStatus.FORBIDDEN, title=Message("problems.title-permission-missing")
    ),
    NotAllowed: Kind(type="not-allowed", status=HTTPStatus.FORBIDDEN, title=Message("problems.title-not-allowed")),
    NotFound: Kind(type="not-found", status=HTTPStatus.NOT_FOUND, title=Message("problems.title-not-found")),
    RunsElsewhere: Kind(
        type="runs-elsewhere", status=HTTPStatus.CONFLICT, title=Message("problems.title-runs-elsewhere")
    ),
    PreconditionFailed: Kind(
        type="precondition-failed",
        status=HTTPStatus.PRECONDITION_FAILED,
        title=Message("problems.title-precondition-failed"),
    ),
    UploadConflict: Kind(
        type="upload-conflict", status=HTTPStatus.CONFLICT, title=Message("problems.title-upload-conflict")
    ),
    SourceUnavailable: Kind(
        type="source-unavailable",
        status=HTTPStatus.FAILED_DEPENDENCY,
        title=Message("problems.title-source-unavailable"),
    ),
    BodyCorrupted: Kind(
        type="content-digest-mismatch",
        status=HTTPStatus.BAD_REQUEST,
        title=Message("problems.title-content-digest-mismatch"),
    ),
    LimitExceeded: Kind(
        type="limit-exceeded", status=HTTPStatus.CONTENT_TOO_LARGE, title=Message("problems.title-limit-exceeded")
    ),
    OtherMediaType: Kind(
        type="unsupported-media-type",
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        title=Message("problems.title-unsupported-media-type"),
    ),
    UnreadableFile: Kind(
        type="unreadable-file",
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        title=Message("problems.title-unreadable-file"),
    ),
    ForeignHost: Kind(
        type="foreign-host", status=HTTPStatus.MISDIRECTED_REQUEST, title=Message("problems.title-foreign-host")
    ),
    UnusableData: Kind(
        type="unusable-data", status=HTTPStatus.UNPROCESSABLE_CONTENT, title=Message("problems.title-unusable-data")
    ),
    KeyReused: Kind(
        type="idempotency-key-reused",
        status=HTTPStatus.UNPROCESSABLE_CONTENT,
        title=Message("problems.title-idempotency-key-reused"),
    ),
    InputError: Kind(
        type="invalid-request", status=HTTPStatus.BAD_REQUEST, title=Message("problems.title-invalid-request")
    ),
    BulkheadFull: Kind(
        type="bulkhead-full", status=_TOO_MANY, title=Message("problems.title-bulkhead-full"), retry_after=1
    ),
    RateLimited: Kind(
        type="rate-limited", status=_TOO_MANY, title=Message("problems.title-rate-limited"), retry_after=1
    ),
    QuotaExceeded: Kind(
        type="quota-exceeded", status=_TOO_MANY, title=Message("problems.title-quota-exceeded"), retry_after=60
    ),
    TooManyListeners: Kind(
        type="too-many-listeners", status=_TOO_MANY, title=Message("problems.title-too-many-listeners"), retry_after=15
    ),
    Shed: Kind(type="shed", status=_TOO_MANY, title=Message("problems.title-shed"), retry_after=1),
    CircuitOpen: Kind(
        type="circuit-open",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        title=Message("problems.title-circuit-open"),
        retry_after=1,
    ),
    Draining: Kind(
        type="draining", status=HTTPStatus.SERVICE_UNAVAILABLE, title=Message("problems.title-draining"), retry_after=1
    ),
    Rejected: Kind(
        type="rejected", status=HTTPStatus.SERVICE_UNAVAILABLE, title=Message("problems.title-rejected"), retry_after=1
    ),
    WorkerLost: Kind(
        type="worker-lost",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        title=Message("problems.title-worker-lost"),
        retry_after=1,
    ),
    WorkersUnavailable: Kind(
        type="workers-unavailable",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        title=Message("problems.title-workers-unavailable"),
        retry_after=2,
    ),
    StoreUnavailable: Kind(
        type="store-unavailable",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        title=Message("problems.title-store-unavailable"),
        retry_after=2,
    ),
    EngineUnavailable: Kind(
        type="engine-unavailable",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        title=Message("problems.title-engine-unavailable"),
        retry_after=2,
    ),
    IdentityProviderUnavailable: Kind(
        type="identity-provider-unavailable",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        title=Message("problems.title-identity-provider-unavailable"),
        retry_after=10,
    ),
    SourceDown: Kind(type="source-down", status=_AWAY, title=Message("problems.title-source-down"), retry_after=5),
    ServiceError: Kind(
        type="unavailable",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        title=Message("problems.title-unavailable"),
        retry_after=2,
    ),
    StorageFull: Kind(
        type="insufficient-storage",
        status=HTTPStatus.INSUFFICIENT_STORAGE,
        title=Message("problems.title-insufficient-storage"),
    ),
    AttemptTimeout: Kind(
        type="attempt-timeout", status=HTTPStatus.GATEWAY_TIMEOUT, title=Message("problems.title-attempt-timeout")
    ),
    DeadlineExceeded: Kind(
        type="deadline-exceeded", status=HTTPStatus.GATEWAY_TIMEOUT, title=Message("problems.title-deadline-exceeded")
    ),
}
_INTERNAL = Kind(
    type="internal-error", status=HTTPStatus.INTERNAL_SERVER_ERROR, title=Message("problems.title-internal-error")
)


def kinds() -> tuple[Kind, ...]:
    """Return every kind of problem, by ascending status, including the internal error."""
    return tuple(sorted({*_KINDS.values(), _INTERNAL}, key=lambda kind: (kind.status, kind.type)))


def kind_of(error: BaseException) -> Kind:
    """Return the kind of problem of an exception: that of its nearest ancestor in the table."""
    return next((_KINDS[ancestor] for ancestor in type(error).__mro__ if ancestor in _KINDS), _INTERNAL)


def select_error(error: BaseException) -> Exception:
    """Select the exception that determines the response; of a group, the most severe of its leaves.

    Raises:
        BaseException: a cancellation in `error`, which takes precedence, because the canceller no longer waits for a
            response. The rest of the group is logged.
    """
    if isinstance(error, BaseExceptionGroup):
        # `split` calls the condition for groups as well as for leaves.
        cancelled, rest = error.split(lambda one: not isinstance(one, Exception | BaseExceptionGroup))
        if cancelled is not None:
            if rest is not None:
                _log.error("failed while it was cancelled", exc_info=rest)
            raise cancelled
        return max(_leaves(error), key=_gravity)
    if not isinstance(error, Exception):
        raise error
    return error


def answer(request: "AnyRequest", error: Exception, *, routes: Iterable[str] = ()) -> TrioResponse:
    """Return the problem response of a request that failed with `error`, and log server errors.

    Args:
        request: the request.
        error: the exception.
        routes: existing paths, for the response to an unknown path.
    """
    if isinstance(error, ClientDisconnectedError):
        raise error
    if isinstance(error, HTTPException):
        return _of_werkzeug(request, error, routes)
    kind = kind_of(error)
    detail, fields = _detail_of(error, kind, request.request_id)
    if is_server_error(kind.status):
        current_span().error(error)
    if kind is _INTERNAL:
        _log.error("unexpected error", request_id=request.request_id, path=request.path, exc_info=error)
    elif not isinstance(error, InputError):
        _log.warning(
            kind.type, request_id=request.request_id, path=request.path, status=int(kind.status), detail=detail
        )
    headers = challenge_of(error)
    if kind.retry_after is not None or (isinstance(error, SourceUnavailable) and error.retry_after):
        seconds = getattr(error, "retry_after", 0.0) or kind.retry_after or 0.0
        headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    if isinstance(error, UploadConflict):
        headers[UPLOAD_OFFSET] = str(error.offset)
    return _response(request, kind, detail, fields, headers)


def describe(error: Exception, *, instance: str, request_id: str) -> dict[str, object]:
    """Return the members of an exception's problem, for responses and events that contain one.

    Args:
        error: the exception; logging it is up to the caller.
        instance: path of the resource.
        request_id: the request id in the log.
    """
    kind = kind_of(error)
    detail, fields = _detail_of(error, kind, request_id)
    return _members(kind, detail, fields, instance=instance, request_id=request_id)


def refused(status: int, detail: str, *, instance: str, request_id: str) -> bytes:
    """Return the problem body that rejects a malformed HTTP request.

    Args:
        status: the HTTP status.
        detail: the reason.
        instance: the path, as far as it could be parsed.
        request_id: the request id in the log.
    """
    members = _members(_of_status(HTTPStatus(status)), of(detail), {}, instance=instance, request_id=request_id)
    return json.dumps(members, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def _of_status(status: HTTPStatus) -> Kind:
    slug = "no-such-path" if status is HTTPStatus.NOT_FOUND else status.phrase.lower().replace(" ", "-")
    return Kind(type=slug, status=status, title=title_of(status))


def _detail_of(error: Exception, kind: Kind, request_id: str) -> tuple[Message, dict[str, object]]:
    if isinstance(error, InputError):
        fields: dict[str, object] = {"field": error.field or None, "choices": list(error.choices) or None}
        if isinstance(error, UploadConflict):
            fields["offset"] = error.offset
        return detail_of(error, kind.title), fields
    if kind is _INTERNAL:
        return Message("problems.cause-in-log", request_id=request_id), {}
    return detail_of(error, kind.title), {}


def _of_werkzeug(request: "AnyRequest", error: HTTPException, routes: Iterable[str]) -> TrioResponse:
    if error.response is not None or error.code is None or not is_error(error.code):
        return TrioResponse(error.get_response().get_data(), error.code, dict(error.get_headers()))
    status = HTTPStatus(error.code)
    fields: dict[str, object] = {}
    headers: dict[str, str] = {}
    detail = of(error.description or status.description)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        allowed = sorted(error.valid_methods)
        headers["Allow"] = ", ".join(allowed)
        fields["choices"] = allowed
        detail = Message("problems.method-not-allowed", allowed=allowed, method=request.method, path=request.path)
    elif status is HTTPStatus.NOT_FOUND:
        fields["choices"] = sorted(routes)
        detail = Message("problems.no-such-path", path=request.path)
    return _response(request, _of_status(status), detail, fields, headers)


def _response(
    request: "AnyRequest", kind: Kind, detail: Message, fields: dict[str, object], headers: dict[str, str]
) -> TrioResponse:
    members = _members(kind, detail, fields, instance=request.path, request_id=request.request_id)
    if request.is_foreign:
        members = {name: value for name, value in members.items() if name not in trace_members()}
    translate_members(members, request.language)
    body = json.dumps(members, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
    response = TrioResponse(body, int(kind.status), headers, content_type="application/problem+json")
    add_language(request, response)
    return response


def _members(
    kind: Kind, detail: Message, fields: dict[str, object], *, instance: str, request_id: str
) -> dict[str, object]:
    messages = collect_messages({"title": kind.title, "detail": detail})
    return {
        "type": kind.type,
        "title": kind.title,
        "status": int(kind.status),
        "detail": detail,
        **({"messages": messages} if messages else {}),
        "instance": instance,
        "request_id": request_id,
        **trace_members(),
        **{name: value for name, value in fields.items() if value is not None},
    }


def _gravity(error: Exception) -> tuple[bool, int]:
    kind = kind_of(error)
    return kind is _INTERNAL, kind.status


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        elif isinstance(error, Exception):
            yield error
