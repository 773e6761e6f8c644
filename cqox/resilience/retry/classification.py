"""Classification of exceptions: whether a failure is transient, and whether the request was sent.

It covers network, HTTP and gRPC status, AWS, PostgreSQL and Redis errors. Libraries are recognised by the names of
their classes and never imported. The decision to retry, which also depends on idempotence, time and budget, is made in
`attempts`.
"""

import errno
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from cqox.errors import AttemptTimeout, DeadlineExceeded, Rejected, StoreUnavailable
from cqox.resilience.retry.aws_failures import AWS_CLASSES, classify_aws
from cqox.resilience.retry.failure import Failure, Kind, Sent
from cqox.resilience.retry.failure import known as _known

__all__ = [
    "Failure",
    "Kind",
    "Sent",
    "classify",
    "is_database_error",
    "is_idempotent_method",
    "is_network_error",
    "is_overload",
    "is_transient",
    "never_sent",
]


_OTHER = _known(Kind.OTHER, Sent.MAYBE, transient=False)
_NETWORK_KINDS = frozenset({Kind.NETWORK, Kind.HTTP, Kind.GRPC, Kind.TIMEOUT})
# Drivers such as asyncpg do not wrap the OSError of a failed connection.
_DATABASE_KINDS = frozenset({Kind.DATABASE, Kind.REDIS, Kind.NETWORK, Kind.TIMEOUT})
_IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})

_HTTP_CLIENT: Mapping[str, Failure] = {
    "ConnectError": _known(Kind.HTTP, Sent.NEVER),
    "ConnectTimeout": _known(Kind.HTTP, Sent.NEVER, overload=True),
    "PoolTimeout": _known(Kind.HTTP, Sent.NEVER, overload=True),
    "ProxyError": _known(Kind.HTTP, Sent.NEVER),
    "TimeoutException": _known(Kind.HTTP, Sent.MAYBE, overload=True),
    "NetworkError": _known(Kind.HTTP, Sent.MAYBE),
    "RemoteProtocolError": _known(Kind.HTTP, Sent.MAYBE),
}
_REQUESTS: Mapping[str, Failure] = {
    "ConnectTimeout": _known(Kind.HTTP, Sent.NEVER, overload=True),
    "ProxyError": _known(Kind.HTTP, Sent.NEVER),
    "SSLError": _known(Kind.HTTP, Sent.NEVER, transient=False),
    "Timeout": _known(Kind.HTTP, Sent.MAYBE, overload=True),
    "ConnectionError": _known(Kind.HTTP, Sent.MAYBE),
    "ChunkedEncodingError": _known(Kind.HTTP, Sent.MAYBE),
}
_AIOHTTP: Mapping[str, Failure] = {
    "ClientConnectorCertificateError": _known(Kind.HTTP, Sent.NEVER, transient=False),
    "ClientConnectorError": _known(Kind.HTTP, Sent.NEVER),
    "ConnectionTimeoutError": _known(Kind.HTTP, Sent.NEVER, overload=True),
    "ServerTimeoutError": _known(Kind.HTTP, Sent.MAYBE, overload=True),
    "ClientConnectionError": _known(Kind.HTTP, Sent.MAYBE),
    "ClientPayloadError": _known(Kind.HTTP, Sent.MAYBE),
}
_STREAM: Mapping[str, Failure] = {
    "BrokenResourceError": _known(Kind.NETWORK, Sent.MAYBE),
    "EndOfStream": _known(Kind.NETWORK, Sent.MAYBE),
    "IncompleteRead": _known(Kind.NETWORK, Sent.MAYBE),
    "IncompleteReadError": _known(Kind.NETWORK, Sent.MAYBE),
    "TooSlowError": _known(Kind.NETWORK, Sent.MAYBE, overload=True),
}
_PSYCOPG: Mapping[str, Failure] = {
    "ConnectionTimeout": _known(Kind.DATABASE, Sent.NEVER, overload=True),
    "PoolTimeout": _known(Kind.DATABASE, Sent.NEVER, overload=True),
    "TooManyRequests": _known(Kind.DATABASE, Sent.NEVER, overload=True),
    "PoolClosed": _known(Kind.DATABASE, Sent.NEVER, transient=False),
    "OperationalError": _known(Kind.DATABASE, Sent.MAYBE),
    "Error": _known(Kind.DATABASE, Sent.MAYBE, transient=False),
}
_BY_CLASS: Mapping[str, Mapping[str, Failure]] = {
    "httpx": _HTTP_CLIENT,
    "httpcore": _HTTP_CLIENT,
    "httpx2": _HTTP_CLIENT,
    "httpcore2": _HTTP_CLIENT,
    "aiohttp": _AIOHTTP,
    "requests": _REQUESTS,
    "anyio": _STREAM,
    "trio": _STREAM,
    "asyncio": _STREAM,
    "botocore": AWS_CLASSES,
    "psycopg": _PSYCOPG,
    "psycopg_pool": _PSYCOPG,
    "psycopg2": _PSYCOPG,
    "sqlalchemy": {"TimeoutError": _known(Kind.DATABASE, Sent.NEVER, overload=True)},
    "ssl": {
        "SSLEOFError": _known(Kind.NETWORK, Sent.MAYBE),
        "SSLZeroReturnError": _known(Kind.NETWORK, Sent.MAYBE),
        "SSLSyscallError": _known(Kind.NETWORK, Sent.MAYBE),
        "SSLError": _known(Kind.NETWORK, Sent.MAYBE, transient=False),
    },
    "redis": {
        "AuthenticationError": _known(Kind.REDIS, Sent.UNDONE, transient=False),
        "AuthorizationError": _known(Kind.REDIS, Sent.UNDONE, transient=False),
        "ExternalAuthProviderError": _known(Kind.REDIS, Sent.NEVER, transient=False),
        "BusyLoadingError": _known(Kind.REDIS, Sent.UNDONE, overload=True),
        "MaxConnectionsError": _known(Kind.REDIS, Sent.NEVER, overload=True),
        "ConnectionError": _known(Kind.REDIS, Sent.MAYBE),
        "TimeoutError": _known(Kind.REDIS, Sent.MAYBE, overload=True),
        "ClusterDownError": _known(Kind.REDIS, Sent.UNDONE),
        "TryAgainError": _known(Kind.REDIS, Sent.UNDONE),
        "ReadOnlyError": _known(Kind.REDIS, Sent.UNDONE),
        "WatchError": _known(Kind.REDIS, Sent.UNDONE),
        "RedisError": _known(Kind.REDIS, Sent.MAYBE, transient=False),
    },
}
_BY_STATUS: Mapping[int, Failure] = {
    429: _known(Kind.HTTP, Sent.UNDONE, overload=True),
    502: _known(Kind.HTTP, Sent.MAYBE),
    503: _known(Kind.HTTP, Sent.MAYBE, overload=True),
    504: _known(Kind.HTTP, Sent.MAYBE, overload=True),
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html; a class of two characters covers its remaining codes.
_BY_SQLSTATE: Mapping[str, Failure] = {
    "08": _known(Kind.DATABASE, Sent.MAYBE),
    "08001": _known(Kind.DATABASE, Sent.NEVER),
    "08003": _known(Kind.DATABASE, Sent.MAYBE),
    "08004": _known(Kind.DATABASE, Sent.NEVER),
    "08P01": _known(Kind.DATABASE, Sent.MAYBE, transient=False),
    "40000": _known(Kind.DATABASE, Sent.UNDONE),
    "40001": _known(Kind.DATABASE, Sent.UNDONE),
    "40003": _known(Kind.DATABASE, Sent.MAYBE),
    "40P01": _known(Kind.DATABASE, Sent.UNDONE),
    "53300": _known(Kind.DATABASE, Sent.NEVER, overload=True),
    "55P03": _known(Kind.DATABASE, Sent.UNDONE),
    "57P01": _known(Kind.DATABASE, Sent.MAYBE),
    "57P02": _known(Kind.DATABASE, Sent.MAYBE),
    "57P03": _known(Kind.DATABASE, Sent.NEVER),
    "57P05": _known(Kind.DATABASE, Sent.MAYBE),
}
_BY_GRPC_CODE: Mapping[str, Failure] = {
    "UNAVAILABLE": _known(Kind.GRPC, Sent.MAYBE),
    "RESOURCE_EXHAUSTED": _known(Kind.GRPC, Sent.MAYBE, overload=True),
    "DEADLINE_EXCEEDED": _known(Kind.GRPC, Sent.MAYBE, overload=True),
}
_STATUS_ON_ERROR = ("aiohttp.", "cqox.resilience.adapters.aiohttp")
_SQLITE_BUSY_OR_LOCKED = frozenset({5, 6})
_NETWORK_ERRNO = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EADDRNOTAVAIL,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ETIMEDOUT,
    }
)


def classify(error: BaseException) -> Failure:
    """Classify `error`.

    A group is transient only if every leaf is, and was never sent only if no leaf was; its kind is that of its leaves
    where they agree. An unknown exception is not transient and may have been sent.
    """
    if isinstance(error, BaseExceptionGroup):
        return _combine([classify(leaf) for leaf in cast("BaseExceptionGroup[BaseException]", error).exceptions])
    for judge in (_by_cqox, _by_sqlstate, classify_aws, _by_class, _by_status, _by_grpc_code, _by_os):
        failure = judge(error)
        if failure is not None:
            return failure
    return _OTHER


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later without any change."""
    return classify(error).transient


def never_sent(error: BaseException) -> bool:
    """Return whether the failed request was provably never sent.

    This is a fact about one request: a caller that has sent another one before must not be retried because of it.
    """
    return classify(error).sent is Sent.NEVER


def is_overload(error: BaseException) -> bool:
    """Return whether the server, or the path to it, was overloaded: a timeout, 429, 503, 504, a full pool."""
    return classify(error).overload


def is_network_error(error: BaseException) -> bool:
    """Return whether `error` is a transient network error: connection error, timeout, 429, 502, 503, 504."""
    failure = classify(error)
    return failure.transient and failure.kind in _NETWORK_KINDS


def is_database_error(error: BaseException) -> bool:
    """Return whether `error` is a transient error of a database or Redis.

    These are connection errors, serialization failures, deadlocks and shutdowns.
    """
    failure = classify(error)
    return failure.transient and failure.kind in _DATABASE_KINDS


def is_idempotent_method(method: str) -> bool:
    """Return whether the HTTP method is idempotent (RFC 9110, section 9.2.2)."""
    return method.upper() in _IDEMPOTENT_METHODS


def _combine(leaves: Sequence[Failure]) -> Failure:
    kinds, sents = {leaf.kind for leaf in leaves}, {leaf.sent for leaf in leaves}
    return Failure(
        kind=kinds.pop() if len(kinds) == 1 else Kind.OTHER,
        transient=all(leaf.transient for leaf in leaves),
        sent=Sent.MAYBE if Sent.MAYBE in sents else Sent.UNDONE if Sent.UNDONE in sents else Sent.NEVER,
        overload=any(leaf.overload for leaf in leaves),
    )


def _by_cqox(error: BaseException) -> Failure | None:
    match error:
        case AttemptTimeout():
            # Time spent in a queue of this process says nothing about the server.
            return _known(Kind.TIMEOUT, Sent.MAYBE, overload=not error.before_call)
        case DeadlineExceeded():
            return _known(Kind.TIMEOUT, Sent.MAYBE, transient=False)
        case Rejected():
            return _known(Kind.REJECTION, Sent.NEVER, transient=False)
        case StoreUnavailable():
            sent = classify(error.__cause__).sent if error.__cause__ is not None else Sent.MAYBE
            return _known(Kind.DATABASE, sent)
        case _:
            return None


def _by_sqlstate(error: BaseException) -> Failure | None:
    # SQLAlchemy keeps the driver's own exception in `orig`; psycopg2 calls the code `pgcode`.
    driver_error = getattr(error, "orig", None) or error
    code = getattr(driver_error, "sqlstate", None) or getattr(driver_error, "pgcode", None)
    if isinstance(code, str) and len(code) == 5 and code.isascii() and code.isalnum():
        failure = _BY_SQLSTATE.get(code) or _BY_SQLSTATE.get(code[:2])
        return replace(failure or _known(Kind.DATABASE, Sent.MAYBE, transient=False), code=code)
    if driver_error is not error and isinstance(driver_error, BaseException):
        return classify(driver_error)
    sqlite_code = getattr(error, "sqlite_errorcode", None)
    if isinstance(sqlite_code, int):
        transient = sqlite_code & 0xFF in _SQLITE_BUSY_OR_LOCKED
        return _known(Kind.DATABASE, Sent.UNDONE if transient else Sent.MAYBE, transient=transient)
    return None


def _by_class(error: BaseException) -> Failure | None:
    for cls in type(error).__mro__:
        table = _BY_CLASS.get(cls.__module__.partition(".")[0])
        failure = None if table is None else table.get(cls.__name__)
        if failure is not None:
            return _refine(failure, error)
    return None


def _refine(failure: Failure, error: BaseException) -> Failure:
    """Refine by the instance: certificate errors are permanent, and failed connects never sent a request."""
    if failure.kind is Kind.HTTP and _caused_by_certificate(error):
        return replace(failure, transient=False)
    if failure.sent is Sent.MAYBE and failure.transient and _failed_to_connect(failure, error):
        return replace(failure, sent=Sent.NEVER)
    return failure


def _failed_to_connect(failure: Failure, error: BaseException) -> bool:
    if failure.kind is Kind.DATABASE:
        # psycopg attaches the connection only to errors raised while connecting.
        return getattr(error, "pgconn", None) is not None
    reason = error.__cause__ or error.__context__
    return failure.kind is Kind.REDIS and isinstance(reason, OSError) and "connecting to" in str(error)


def _caused_by_certificate(error: BaseException) -> bool:
    reason: BaseException | None = error
    for _ in range(8):
        if reason is None:
            return False
        if type(reason).__name__ == "SSLCertVerificationError":
            return True
        reason = reason.__cause__ or reason.__context__
    return False


def _by_status(error: BaseException) -> Failure | None:
    # aiohttp's exception has the status itself, and what it calls `status` elsewhere is something else.
    own = getattr(error, "status", None) if type(error).__module__.startswith(_STATUS_ON_ERROR) else None
    status = getattr(getattr(error, "response", None), "status_code", own)
    if not isinstance(status, int) or isinstance(status, bool):
        return None
    failure = _BY_STATUS.get(status) or _known(Kind.HTTP, Sent.MAYBE, transient=False)
    return replace(failure, code=str(status))


def _by_grpc_code(error: BaseException) -> Failure | None:
    code = getattr(error, "code", None)
    if not callable(code) or not any(cls.__module__.partition(".")[0] == "grpc" for cls in type(error).__mro__):
        return None
    name = getattr(code(), "name", "")
    return replace(_BY_GRPC_CODE.get(name) or _known(Kind.GRPC, Sent.MAYBE, transient=False), code=name)


def _by_os(error: BaseException) -> Failure | None:
    match error:
        case ConnectionRefusedError():
            return _known(Kind.NETWORK, Sent.NEVER)
        case OSError() if isinstance(error, _unresolved()):
            return _known(Kind.NETWORK, Sent.NEVER)
        case TimeoutError():
            return _known(Kind.NETWORK, Sent.MAYBE, overload=True)
        case ConnectionError():
            return _known(Kind.NETWORK, Sent.MAYBE)
        case OSError() if error.errno in _NETWORK_ERRNO:
            return _known(Kind.NETWORK, Sent.NEVER if error.errno == errno.ECONNREFUSED else Sent.MAYBE)
        case _:
            return None


def _unresolved() -> type[BaseException] | tuple[()]:
    """Return the class of errors of name resolution; who raises one has imported `socket`."""
    return cast("type[BaseException] | tuple[()]", getattr(sys.modules.get("socket"), "gaierror", ()))
