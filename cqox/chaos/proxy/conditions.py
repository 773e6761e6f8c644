"""Conditions of a link through a proxy; they can be changed while connections are open."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Conditions", "HttpFault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFault:
    """A fault of some HTTP/1.1 requests on a link without TLS.

    Attributes:
        action: `abort` resets the connection once the head of the request has come, `delay` holds it, and `replace`
            answers in place of the target and closes the connection.
        share: of the requests, from 0 to 1.
        path: only requests whose target begins so.
        seconds: how long `delay` holds a request.
        status: of the answer of `replace`.
    """

    action: Literal["abort", "delay", "replace"]
    share: float = 1.0
    path: str = "/"
    seconds: float = 0.0
    status: int = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The behaviour of a link; the default passes everything on.

    Attributes:
        latency: seconds by which each direction is late.
        jitter: most seconds more or less, at random; the order of bytes stays.
        bytes_per_second: bound of each direction of a connection; 0 for none.
        read_bytes_per_second: bound of reading from the target, so that its buffers fill up; 0 for none.
        hold_to: deliver nothing towards the target; what was sent is delivered when this is over.
        hold_from: deliver nothing from the target, likewise.
        refuse: refuse new connections, and reset those that are open.
        reset_after: reset a connection once so many bytes from the target have been delivered; None for never.
        corrupt: share of the pieces of data of which one byte is changed, from 0 to 1.
        stall: share of the pieces that come later by `stall_seconds`: a lost packet, as a TCP connection sees it.
        stall_seconds: a retransmission timeout.
        http: a fault of single requests.
    """

    latency: float = 0.0
    jitter: float = 0.0
    bytes_per_second: int = 0
    read_bytes_per_second: int = 0
    hold_to: bool = False
    hold_from: bool = False
    refuse: bool = False
    reset_after: int | None = None
    corrupt: float = 0.0
    stall: float = 0.0
    stall_seconds: float = 0.2
    http: HttpFault | None = None
