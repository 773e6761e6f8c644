"""Classification of exceptions, raised by the real libraries where possible."""

import errno
import socket
import ssl
import subprocess
import sys

import aiohttp
import anyio
import grpc
import grpc.aio
import httpx
import httpx2
import psycopg
import psycopg.errors
import psycopg_pool
import pytest
import redis
import trio
from hypothesis import given
from hypothesis import strategies as st

from cqox.errors import AttemptTimeout, CircuitOpen, DeadlineExceeded, Draining, StoreUnavailable
from cqox.resilience.retry.classification import (
    Kind,
    Sent,
    classify,
    is_database_error,
    is_idempotent_method,
    is_network_error,
    is_overload,
    is_transient,
    never_sent,
)
from tests.resilience.retry.library_errors import REQUEST, aiohttp_status, caused, named, rpc, status


class RefusedByName(OSError):
    """A subclass, which Python does not turn into ConnectionRefusedError."""


NEVER_SENT = [
    ConnectionRefusedError(),
    RefusedByName(errno.ECONNREFUSED, "refused"),
    socket.gaierror(socket.EAI_NONAME, "no such host"),
    httpx.ConnectError("", request=REQUEST),
    httpx.ConnectTimeout("", request=REQUEST),
    httpx.PoolTimeout("", request=REQUEST),
    httpx.ProxyError("", request=REQUEST),
    psycopg.errors.ConnectionTimeout(),
    psycopg.errors.CannotConnectNow(),
    psycopg.errors.TooManyConnections(),
    psycopg_pool.PoolTimeout(),
    psycopg_pool.TooManyRequests(),
    redis.exceptions.MaxConnectionsError(),
    caused(redis.exceptions.ConnectionError("Error 111 connecting to redis:6379."), ConnectionRefusedError()),
    caused(redis.exceptions.TimeoutError("Timeout connecting to server"), TimeoutError()),
    named("requests.exceptions", "ConnectTimeout", OSError),
    httpx2.ConnectError("", request=httpx2.Request("GET", "http://engine/")),
    named("aiohttp.client_exceptions", "ClientConnectorError", OSError),
    aiohttp.ConnectionTimeoutError(),
]
UNDONE = [
    status(429),
    aiohttp_status(429),
    psycopg.errors.SerializationFailure(),
    psycopg.errors.DeadlockDetected(),
    psycopg.errors.LockNotAvailable(),
    redis.exceptions.BusyLoadingError(),
    redis.exceptions.TryAgainError(),
    redis.exceptions.ClusterDownError(""),
    redis.exceptions.ReadOnlyError(),
    redis.exceptions.WatchError(),
]
MAYBE_SENT = [
    ConnectionResetError(),
    BrokenPipeError(),
    TimeoutError(),
    OSError(errno.EHOSTUNREACH, "no route"),
    OSError(errno.ENETUNREACH, "unreachable"),
    ssl.SSLEOFError(),
    anyio.BrokenResourceError(),
    anyio.EndOfStream(),
    anyio.IncompleteRead(),
    trio.BrokenResourceError(),
    trio.TooSlowError(),
    httpx.ReadTimeout("", request=REQUEST),
    httpx.WriteTimeout("", request=REQUEST),
    httpx.ReadError("", request=REQUEST),
    httpx.WriteError("", request=REQUEST),
    httpx.RemoteProtocolError("", request=REQUEST),
    status(502),
    status(503),
    status(504),
    psycopg.OperationalError("server closed the connection unexpectedly"),
    psycopg.errors.AdminShutdown(),
    psycopg.errors.CrashShutdown(),
    psycopg.errors.ConnectionFailure(),
    redis.exceptions.ConnectionError("Connection closed by server."),
    redis.exceptions.TimeoutError("Timeout reading from socket"),
    named("requests.exceptions", "ChunkedEncodingError"),
    httpx2.ReadTimeout("", request=httpx2.Request("GET", "http://engine/")),
    aiohttp.ServerDisconnectedError(),
    aiohttp.SocketTimeoutError(),
    aiohttp.ClientPayloadError(),
    aiohttp_status(503),
    *map(rpc, [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED]),
    AttemptTimeout(1.0),
]
PERMANENT = [
    ValueError(),
    KeyError(),
    FileNotFoundError(),
    PermissionError(),
    ssl.SSLCertVerificationError(),
    caused(httpx.ConnectError("", request=REQUEST), ssl.SSLCertVerificationError()),
    caused(httpx.ConnectError("", request=REQUEST), caused(OSError(), ssl.SSLCertVerificationError())),
    httpx.InvalidURL(""),
    httpx.UnsupportedProtocol("", request=REQUEST),
    httpx.LocalProtocolError("", request=REQUEST),
    httpx.DecodingError("", request=REQUEST),
    httpx.TooManyRedirects("", request=REQUEST),
    aiohttp_status(500),
    *map(rpc, [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ABORTED, grpc.StatusCode.UNKNOWN]),
    named("aiohttp.client_exceptions", "ClientConnectorCertificateError", OSError),
    *(status(code) for code in (400, 401, 403, 404, 408, 409, 422, 500, 501)),
    psycopg.errors.UniqueViolation(),
    psycopg.errors.UndefinedTable(),
    psycopg.errors.QueryCanceled(),
    psycopg.errors.DiskFull(),
    psycopg.errors.ProtocolViolation(),
    psycopg.errors.InvalidPassword(),
    psycopg.ProgrammingError(),
    psycopg_pool.PoolClosed(),
    redis.exceptions.AuthenticationError(),
    redis.exceptions.AuthorizationError(),
    redis.exceptions.ResponseError(),
    redis.exceptions.DataError(),
    named("requests.exceptions", "SSLError", OSError),
    DeadlineExceeded(1.0),
    CircuitOpen("engine"),
    Draining("gateway"),
    KeyboardInterrupt(),
]


def label(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__name__}-{error}"[:60]


@pytest.mark.parametrize("error", NEVER_SENT, ids=label)
def test_what_never_left_may_be_repeated_by_anybody(error: BaseException) -> None:
    assert is_transient(error)
    assert never_sent(error)


@pytest.mark.parametrize("error", UNDONE, ids=label)
def test_what_was_refused_or_taken_back_is_transient_and_was_sent(error: BaseException) -> None:
    failure = classify(error)
    assert failure.transient
    assert failure.sent is Sent.UNDONE
    assert not never_sent(error)


@pytest.mark.parametrize("error", MAYBE_SENT, ids=label)
def test_what_broke_on_the_way_may_have_been_carried_out(error: BaseException) -> None:
    failure = classify(error)
    assert failure.transient
    assert failure.sent is Sent.MAYBE


@pytest.mark.parametrize("error", PERMANENT, ids=label)
def test_what_time_does_not_cure_is_not_transient(error: BaseException) -> None:
    assert not is_transient(error)
    assert not is_network_error(error)
    assert not is_database_error(error)


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("", request=REQUEST),
        httpx.PoolTimeout("", request=REQUEST),
        status(429),
        status(503),
        status(504),
        TimeoutError(),
        AttemptTimeout(1.0),
        psycopg_pool.PoolTimeout(),
        psycopg.errors.TooManyConnections(),
        redis.exceptions.TimeoutError(),
    ],
    ids=label,
)
def test_timeouts_full_pools_and_refusals_are_overload(error: BaseException) -> None:
    assert is_overload(error)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        status(502),
        status(500),
        ValueError(),
        psycopg.errors.DeadlockDetected(),
        CircuitOpen("x"),
    ],
    ids=label,
)
def test_a_dead_or_wrong_callee_is_no_overload(error: BaseException) -> None:
    assert not is_overload(error)


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("", request=REQUEST), status(503), ConnectionResetError(), AttemptTimeout(1.0)],
    ids=label,
)
def test_network_errors_are_those_of_sockets_and_http(error: BaseException) -> None:
    assert is_network_error(error)


@pytest.mark.parametrize("error", [psycopg.errors.DeadlockDetected(), redis.exceptions.ConnectionError()], ids=label)
def test_a_database_error_is_no_network_error(error: BaseException) -> None:
    assert is_database_error(error)
    assert not is_network_error(error)


@pytest.mark.parametrize("error", [httpx.ConnectError("", request=REQUEST), status(503)], ids=label)
def test_an_http_error_is_no_database_error(error: BaseException) -> None:
    assert not is_database_error(error)


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), AttemptTimeout(1.0)], ids=label)
def test_a_bare_os_error_counts_for_databases_too_because_drivers_let_it_through(error: BaseException) -> None:
    assert is_database_error(error)


def test_a_refused_connection_of_each_real_client_was_never_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        attempts = {
            "httpx": lambda: httpx.get(f"http://127.0.0.1:{port}/"),
            "psycopg": lambda: psycopg.connect(f"host=127.0.0.1 port={port}"),
            "redis": lambda: redis.Redis(port=port, retry=None).get("key"),
            "socket": lambda: socket.create_connection(("127.0.0.1", port)),
        }
        verdicts = {}
        for client, attempt in attempts.items():
            with pytest.raises(Exception, match=r"(?i)refused") as caught:
                attempt()
            verdicts[client] = classify(caught.value)
    assert {client: (verdict.transient, verdict.sent) for client, verdict in verdicts.items()} == dict.fromkeys(
        attempts, (True, Sent.NEVER)
    )


def test_a_redis_error_raised_while_another_is_handled_is_not_mistaken_for_a_refused_connection() -> None:
    error = redis.exceptions.ConnectionError("Connection closed by server.")
    error.__context__ = ConnectionRefusedError()
    assert not never_sent(error)


@pytest.mark.parametrize("response", [None, "503", httpx.Response, type("R", (), {"status_code": "503"})()])
def test_a_response_without_a_status_says_nothing(response: object) -> None:
    assert classify(named("client", "Error", response=response)).kind is Kind.OTHER


def test_a_subclass_is_judged_like_its_library_class() -> None:
    class Mine(httpx.ConnectError):
        pass

    assert never_sent(Mine("", request=REQUEST))


def test_a_store_that_is_unavailable_is_as_far_as_its_cause() -> None:
    assert never_sent(caused(StoreUnavailable("redis"), ConnectionRefusedError()))
    assert classify(StoreUnavailable("redis")).sent is Sent.MAYBE
    assert is_database_error(StoreUnavailable("redis"))


def test_a_group_is_transient_only_if_every_leaf_is() -> None:
    assert is_transient(ExceptionGroup("", [ConnectionResetError(), ExceptionGroup("", [status(503)])]))
    assert not is_transient(ExceptionGroup("", [ConnectionResetError(), ExceptionGroup("", [ValueError()])]))


def test_a_group_was_never_sent_only_if_no_leaf_was() -> None:
    assert never_sent(ExceptionGroup("", [ConnectionRefusedError(), ConnectionRefusedError()]))
    assert not never_sent(ExceptionGroup("", [ConnectionRefusedError(), ConnectionResetError()]))
    assert classify(ExceptionGroup("", [ConnectionRefusedError(), status(429)])).sent is Sent.UNDONE


def test_a_group_is_a_network_error_if_all_its_leaves_are_of_that_kind() -> None:
    assert is_network_error(ExceptionGroup("", [ConnectionResetError(), BrokenPipeError()]))


@given(st.integers(100, 599))
def test_exactly_four_statuses_are_transient(code: int) -> None:
    assert is_transient(status(code)) == (code in {429, 502, 503, 504})


def test_what_other_libraries_call_status_is_no_http_status() -> None:
    assert classify(named("elsewhere", "Failed", status=503)).code == ""


@pytest.mark.parametrize("method", ["GET", "head", "OPTIONS", "TRACE", "PUT", "DELETE"])
def test_idempotent_methods_are_those_of_the_standard(method: str) -> None:
    assert is_idempotent_method(method)


@pytest.mark.parametrize("method", ["POST", "PATCH", "CONNECT", "", "NEW"])
def test_other_methods_are_not_idempotent(method: str) -> None:
    assert not is_idempotent_method(method)


def test_no_library_is_imported_in_order_to_recognise_its_exceptions() -> None:
    script = (
        "import sys\n"
        "from cqox.resilience.retry.classification import classify\n"
        "classify(ValueError()); classify(TimeoutError())\n"
        "print(sorted({'httpx', 'httpcore', 'redis', 'psycopg', 'trio', 'requests'} & set(sys.modules)))\n"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stdout == "[]\n"
