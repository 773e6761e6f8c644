"""Classification of one failure: its origin, whether it is transient, and whether the request was sent."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Failure", "Kind", "Sent", "known"]


class Kind(StrEnum):
    """Origin of a failure."""

    NETWORK = "network"
    """The operating system, or a stream of asyncio, Trio or AnyIO."""
    HTTP = "http"
    """An HTTP client, or the status of a response."""
    GRPC = "grpc"
    """The status of an RPC."""
    DATABASE = "database"
    REDIS = "redis"
    TIMEOUT = "timeout"
    """An attempt's own limit."""
    REJECTION = "rejection"
    """A policy of this package: the callee was not called."""
    OTHER = "other"


class Sent(StrEnum):
    """Delivery of the request, as far as the exception proves it."""

    NEVER = "never"
    """This request was never sent. Its caller may have sent another one before."""
    UNDONE = "undone"
    """It arrived, and the server reports that it was not executed or was rolled back."""
    MAYBE = "maybe"
    """It may have been executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Classification of one exception.

    Attributes:
        kind: origin of the failure.
        transient: True where the same call may succeed later without any change.
        sent: delivery of the request.
        overload: True where the server, or the path to it, was overloaded.
        code: the HTTP status, the SQLSTATE, the name of the gRPC status or the error code of AWS; empty where there is
            none.
    """

    kind: Kind
    transient: bool
    sent: Sent
    overload: bool = False
    code: str = ""


def known(kind: Kind, sent: Sent, *, transient: bool = True, overload: bool = False) -> Failure:
    """Return a failure without a code, transient by default."""
    return Failure(kind=kind, transient=transient, sent=sent, overload=overload)
