"""Answers of HTTP servers, each within limits of time, and through redirections that reach no further inside."""

import io
import string
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from ipaddress import IPv6Address, ip_address
from socket import SOCK_STREAM, gaierror, getaddrinfo, socket
from time import monotonic
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from cqox.contract.messages import Message

__all__ = ["answer_of"]

_HEADER_SECONDS = 60.0
"""Of all requests of one fetch, redirections included, until the headers of the file are there."""
_SLOW_SECONDS, _SLOW_BYTES = 60.0, 1 << 16
"""A file arrives with at least so many bytes within each so many seconds of waiting for them: 1 KiB a second."""
_REDIRECTIONS = (301, 302, 303, 307, 308)
_MOST_REDIRECTIONS = 10
_HEADERS = {"User-Agent": "cqox", "Accept-Encoding": "identity"}
_METADATA = ip_address("fd00:ec2::254")


@contextmanager
def answer_of(address: str, *, silence_seconds: float) -> Iterator[HTTPResponse]:
    """Yield what a server answers to a GET of a URL, after redirections within HTTP and HTTPS.

    A redirection leads neither from HTTPS to HTTP, nor further inside than the address itself is: not from the internet
    to a private network or this machine, and from nowhere to a link-local address, such as one of cloud metadata.

    Args:
        address: `https://…` or `http://…`.
        silence_seconds: the longest wait for the next bytes, and for a connection.

    Raises:
        TimeoutError: the headers or the content come too slowly.
        OSError: the connection fails, the status is an error (`urllib.error.HTTPError`), or a redirection is refused.
        HTTPException, ValueError: the address or the answer is malformed.
    """
    pace = _Pace(silence_seconds)
    with _followed(address, pace) as answer:
        pace.is_content = True
        yield answer


def _followed(address: str, pace: "_Pace") -> HTTPResponse:
    _check_address(address)
    first = address
    for _ in range(_MOST_REDIRECTIONS + 1):
        try:
            answer: HTTPResponse = _opener(pace).open(Request(address, headers=_HEADERS), timeout=pace.silence_seconds)
        except HTTPError as error:
            location = error.headers.get("Location")
            if error.code not in _REDIRECTIONS or location is None:
                raise
            error.close()
            if pace.reach is None:
                # A proxy has been asked.
                pace.reach = max((_reach(each) for each in _addresses(first)), default=0)
            address = _redirected(address, location, pace.reach)
            pace.is_redirected = True
        else:
            return answer
    raise ConnectionError(Message("sources.url-redirections", most=_MOST_REDIRECTIONS))


def _check_address(address: str) -> None:
    """Raise ValueError for an address without a host, or with a user, of which nothing is shown."""
    try:
        parts = urlsplit(address)
        is_usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError(Message("sources.url-host"))
    if "@" in parts.netloc:
        raise ValueError(Message("sources.url-user"))


def _redirected(address: str, location: str, reach: int) -> str:
    """Return the address to which a server redirects.

    Raises:
        ConnectionError: it is refused.
        ValueError: it is malformed.
    """
    # Headers are read as ISO 8859-1; what is no ASCII is quoted as the bytes that arrived.
    target = urljoin(address, quote(location, encoding="iso-8859-1", safe=string.punctuation))
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https"):
        raise ConnectionError(Message("sources.url-redirected-scheme", scheme=parts.scheme[:20]))
    _check_address(target)
    if parts.scheme == "http" and urlsplit(address).scheme.lower() == "https":
        raise ConnectionError(Message("sources.url-redirected-plain"))
    if any(_reach(each) > reach for each in _addresses(target)):
        raise _refused(str(parts.hostname))
    return target


def _refused(host: str) -> ConnectionError:
    return ConnectionError(Message("sources.url-redirected-inside", host=host[:100]))


def _addresses(address: str) -> list[str]:
    """Return the addresses of the host of a URL; none where only a proxy may know them."""
    parts = urlsplit(address)
    with suppress(gaierror, UnicodeError):
        return [str(found[4][0]) for found in getaddrinfo(parts.hostname, parts.port or 80, type=SOCK_STREAM)]
    return []


def _reach(address: str) -> int:
    """Return how far inside an IP address is: 0 the internet, 1 a private network, 2 this machine, 3 link-local."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return 2
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved or ip == _METADATA:
        return 3
    return 0 if ip.is_global else 1


class _Pace:
    """Limits of time of one fetch.

    Attributes:
        silence_seconds: the longest wait for the next bytes.
        is_content: whether the headers of the file are there.
        is_redirected: whether the next connection follows a redirection.
        reach: how far inside the first address is; None until it is known.
    """

    def __init__(self, silence_seconds: float) -> None:
        self.silence_seconds = silence_seconds
        self.is_content = False
        self.is_redirected = False
        self.reach: int | None = None
        self._end = monotonic() + _HEADER_SECONDS
        self._waited, self._arrived = 0.0, 0

    def read(self, sock: socket, raw: io.RawIOBase, buffer: Any) -> int | None:  # noqa: ANN401 - as in `readinto`
        """Read what is there, or wait for it.

        Raises:
            TimeoutError: with the limit that is over.
        """
        began = monotonic()
        left = _SLOW_SECONDS - self._waited if self.is_content else self._end - began
        if left <= 0:
            raise self._too_slow()
        sock.settimeout(min(left, self.silence_seconds))
        try:
            count = raw.readinto(buffer)
        except TimeoutError:
            if left <= self.silence_seconds:
                raise self._too_slow() from None
            raise TimeoutError(Message("sources.url-silent", seconds=self.silence_seconds)) from None
        self._waited += monotonic() - began
        self._arrived += count or 0
        if self._arrived >= _SLOW_BYTES:
            self._waited, self._arrived = 0.0, 0
        return count

    def check_peer(self, sock: socket) -> None:
        """Check whom a connection has reached: a name may have another address than a moment before.

        Raises:
            ConnectionError: a redirection has led further inside.
        """
        peer = str(sock.getpeername()[0])
        if self.reach is None:
            self.reach = _reach(peer)
        elif self.is_redirected and _reach(peer) > self.reach:
            raise _refused(peer)

    def _too_slow(self) -> TimeoutError:
        if self.is_content:
            return TimeoutError(Message("sources.url-slow", least=_SLOW_BYTES, seconds=_SLOW_SECONDS))
        return TimeoutError(Message("sources.url-headers-slow", seconds=_HEADER_SECONDS))


class _PacedReader(io.RawIOBase):
    def __init__(self, sock: socket, pace: _Pace) -> None:
        self._sock, self._pace = sock, pace
        # The socket stays open for as long as this is.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any buffer
        return self._pace.read(self._sock, self._raw, buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket, *arguments: Any, pace: _Pace, **named: Any) -> None:  # noqa: ANN401
        super().__init__(sock, *arguments, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_PacedReader(sock, pace))


class _Connection(HTTPConnection):
    def __init__(self, host: str, *, pace: _Pace, is_proxied: bool, **named: Any) -> None:  # noqa: ANN401
        super().__init__(host, **named)
        self._pace, self._is_proxied = pace, is_proxied
        self.response_class = partial(_Response, pace=pace)  # type: ignore[assignment]

    def connect(self) -> None:
        super().connect()
        if not self._is_proxied:
            self._pace.check_peer(self.sock)


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


class _Handler(HTTPHandler, HTTPSHandler):
    def __init__(self, pace: _Pace) -> None:
        super().__init__()
        self._pace = pace

    def http_open(self, req: Request) -> HTTPResponse:
        return self._open(_Connection, req)

    def https_open(self, req: Request) -> HTTPResponse:
        return self._open(_TlsConnection, req)

    def _open(self, connection: type[_Connection], req: Request) -> HTTPResponse:
        is_proxied = req.host != Request(req.full_url).host
        return self.do_open(connection, req, pace=self._pace, is_proxied=is_proxied)  # type: ignore[arg-type]


def _opener(pace: _Pace) -> OpenerDirector:
    """Return what opens HTTP and HTTPS, by the proxies of the environment, and follows nothing."""
    made = OpenerDirector()
    for handler in (ProxyHandler(), UnknownHandler(), HTTPDefaultErrorHandler(), HTTPErrorProcessor(), _Handler(pace)):
        made.add_handler(handler)
    return made
