"""Failures between client and server: for the policies, and as errors for the caller."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from cqox.client.address import Server
from cqox.contract.bounds import shortened
from cqox.contract.messages import Message
from cqox.errors import (
    AnswerNotUnderstood,
    AttemptTimeout,
    CqoxError,
    DeadlineExceeded,
    InvalidRequest,
    ServerUnreachable,
)
from cqox.resilience import is_network_error

__all__ = ["Refused", "is_outage", "is_retryable", "translated"]

_MOST_CAUSES = 8
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
"""Reasons of OpenSSL for bytes that are no TLS, such as those of plain HTTP."""


class Refused(Exception):
    """An answer that is an error; only the policies see it.

    Attributes:
        error: for the caller.
        response: the answer, whose head has `Retry-After`.
        retryable: whether the same request may succeed in a moment.
        outage: whether the server itself did not answer.
    """

    def __init__(
        self, error: CqoxError, response: httpx.Response, *, retryable: bool = False, outage: bool = False
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.response = response
        self.retryable = retryable
        self.outage = outage


def is_retryable(error: Exception) -> bool:
    """Return whether the same request may succeed in a moment."""
    if isinstance(error, Refused):
        return error.retryable
    return is_network_error(error) and not any(map(_is_lasting, _causes(error)))


def is_outage(error: Exception) -> bool:
    """Return whether the server did not answer, which its circuit counts."""
    if isinstance(error, Refused):
        return error.outage
    return isinstance(error, AttemptTimeout) or is_network_error(error)


@contextmanager
def translated(server: Server) -> Iterator[None]:
    """Raise errors of the transport and of answers as errors of CQOx.

    Raises:
        CqoxError: that of the answer, `ServerUnreachable`, `AnswerNotUnderstood`, or `InvalidRequest` for a request
            that cannot be sent.
    """
    try:
        yield
    except Refused as refused:
        for note in getattr(refused, "__notes__", ()):
            refused.error.add_note(note)
        raise refused.error from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise InvalidRequest(Message("client.not-sendable", reason=_reason(error))) from error
    except DeadlineExceeded as error:
        error.add_note(Message("client.no-answer-in-time", url=server.url))
        raise
    except httpx.DecodingError as error:
        raise AnswerNotUnderstood(Message("client.undecodable", url=server.url, reason=_reason(error))) from error
    except (httpx.TransportError, httpx.StreamError, ssl.SSLError) as error:
        raise _noted(ServerUnreachable(_why(error, server)), error) from error


def _noted[E: Exception](error: E, origin: BaseException) -> E:
    for note in getattr(origin, "__notes__", ()):
        error.add_note(note)
    return error


def _why(error: Exception, server: Server) -> Message:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Message("client.certificate", url=server.url, reason=cause.verify_message)
        if isinstance(cause, ssl.SSLError):
            if cause.reason in _NO_TLS:
                return Message("client.no-tls", url=server.url)
            return Message("client.tls", url=server.url, reason=cause.reason or _reason(cause))
        if isinstance(cause, socket.gaierror):
            return Message("client.no-such-host", host=server.host, url=server.url)
    if isinstance(error, httpx.ConnectTimeout):
        return Message("client.no-connection-in-time", url=server.url)
    if isinstance(error, httpx.ConnectError):
        return Message("client.unreachable", url=server.url, reason=_reason(_root(causes)))
    if isinstance(error, httpx.ProxyError):
        return Message("client.proxy", url=server.url, reason=_reason(error))
    if isinstance(error, httpx.TimeoutException):
        return Message("client.silent", url=server.url)
    return Message("client.lost", url=server.url, reason=_reason(error))


def _is_lasting(cause: BaseException) -> bool:
    """Return whether another attempt would find the same: a certificate, or a server without TLS."""
    return isinstance(cause, ssl.SSLError) and (
        isinstance(cause, ssl.SSLCertVerificationError) or cause.reason in _NO_TLS
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from; of a group, its first leaf."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        inner = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else None
        cause = inner or cause.__cause__ or cause.__context__


def _root(causes: list[BaseException]) -> BaseException:
    """Return the error of the operating system, else the first."""
    return next((cause for cause in causes if isinstance(cause, OSError) and cause.errno), causes[0])


def _reason(error: BaseException) -> str:
    # Event loops put an address and a summary of several attempts in place of the reason.
    system = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""
    text = system or str(error) or type(error).__name__
    return shortened(" ".join(text.split())).removesuffix(".")
