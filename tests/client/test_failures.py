"""Failures of the transport as errors that say what to check."""

import socket
import ssl

import httpx
import pytest

from cqox.client.address import Server
from cqox.client.failures import Refused, is_outage, is_retryable, translated
from cqox.errors import (
    AnswerNotUnderstood,
    AttemptTimeout,
    CqoxError,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    RateLimited,
    ServerUnreachable,
)

SERVER = Server(url="https://cqox.example.com")


def caused(error: Exception, *causes: BaseException) -> Exception:
    """Return an error with a chain of causes."""
    inner: BaseException = error
    for cause in causes:
        inner.__cause__ = inner = cause
    return error


def certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "x")
    error.reason = reason
    return error


REFUSED = ConnectionRefusedError(111, "all attempts failed")


@pytest.mark.parametrize(
    ("error", "form", "said"),
    [
        (caused(httpx.ConnectError("all attempts failed"), OSError("no address"), ExceptionGroup("both", [REFUSED])),
         ServerUnreachable, "cannot be reached: Connection refused. Check that it runs"),
        (httpx.ConnectError(""), ServerUnreachable, "cannot be reached: ConnectError"),
        (caused(httpx.ConnectError("x"), socket.gaierror(-2, "x")), ServerUnreachable, "no host 'cqox.exam"),
        (caused(httpx.ConnectError("x"), certificate()), ServerUnreachable, "not trusted: self-signed certificate"),
        (caused(httpx.ConnectError("x"), tls("WRONG_VERSION_NUMBER")), ServerUnreachable, "does not speak TLS"),
        (caused(httpx.ReadError("x"), tls("DECRYPTION_FAILED")), ServerUnreachable, "no secure connection"),
        (httpx.ConnectTimeout(""), ServerUnreachable, "did not accept a connection in time"),
        (httpx.ReadTimeout(""), ServerUnreachable, "did not answer in time"),
        (httpx.ReadError(""), ServerUnreachable, "lost before the answer was complete: ReadError"),
        (httpx.RemoteProtocolError("Server disconnected."), ServerUnreachable, "complete: Server disconnected."),
        (httpx.ProxyError("407"), ServerUnreachable, "proxy on the way"),
        (httpx.StreamClosed(), ServerUnreachable, "lost before"),
        (httpx.InvalidURL("no"), InvalidRequest, "cannot be sent: no"),
        (httpx.LocalProtocolError("no"), InvalidRequest, "cannot be sent: no"),
        (httpx.DecodingError("bad gzip"), AnswerNotUnderstood, "cannot be decoded: bad gzip"),
    ],
)  # fmt: skip
def test_a_failure_says_what_to_check(error: Exception, form: type[CqoxError], said: str) -> None:
    with pytest.raises(form, match=said) as caught, translated(SERVER):
        raise error
    assert caught.value.__cause__ is error


def test_notes_of_the_retry_reach_the_caller() -> None:
    error = httpx.ReadError("x")
    error.add_note("no further attempt was made")
    refused = Refused(NotFound("gone"), httpx.Response(404))
    refused.add_note("nor here")
    for given, form in ((error, ServerUnreachable), (refused, NotFound)):
        with pytest.raises(form) as caught, translated(SERVER):
            raise given
        assert caught.value.__notes__ == given.__notes__


def test_a_deadline_that_has_passed_says_how_to_allow_more_time() -> None:
    with pytest.raises(DeadlineExceeded) as caught, translated(SERVER):
        raise DeadlineExceeded(1.0)
    assert "timeout=" in caught.value.__notes__[0]


def test_errors_of_cqox_and_others_stay() -> None:
    for error in (AttemptTimeout(1.0), DeadlineExceeded(1.0), KeyError("x")):
        with pytest.raises(type(error)) as caught, translated(SERVER):
            raise error
        assert caught.value is error


@pytest.mark.parametrize(
    ("error", "retried", "counted"),
    [
        (httpx.ConnectError("x"), True, True), (httpx.ReadTimeout("x"), True, True), (AttemptTimeout(1.0), True, True),
        (caused(httpx.ConnectError("x"), certificate()), False, False),
        (caused(httpx.ConnectError("x"), tls("WRONG_VERSION_NUMBER")), False, True),
        (caused(httpx.ReadError("x"), tls("UNEXPECTED_EOF_WHILE_READING")), True, True),
        (httpx.UnsupportedProtocol("x"), False, False),
        (httpx.RemoteProtocolError("x"), True, True), (DeadlineExceeded(1.0), False, False),
        (Refused(NotFound("x"), httpx.Response(404)), False, False),
        (Refused(RateLimited("x"), httpx.Response(429), retryable=True), True, False),
        (Refused(ServerUnreachable("x"), httpx.Response(502), retryable=True, outage=True), True, True),
    ],
)  # fmt: skip
def test_what_may_pass_is_retried_and_what_is_no_answer_counts(error: Exception, retried: bool, counted: bool) -> None:
    assert (is_retryable(error), is_outage(error)) == (retried, counted)
