"""Servers of CQOx that a command asks in place of this machine."""

from typing import TYPE_CHECKING

from cqox.cli.output import suppress_log_lines
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

if TYPE_CHECKING:
    from cqox.client import Client

__all__ = ["open_client"]


def open_client(server: str) -> "Client":
    """Return a client of a server, with the token of `CQOX_TOKEN` if there is one.

    Args:
        server: its address.

    Raises:
        InvalidRequest: the address or the token cannot be used, or a package is missing.
    """
    try:
        from cqox.client import Client
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "cqox":
            raise
        raise InvalidRequest(Message("terminal.server-needs", package=error.name)) from error
    suppress_log_lines()
    return Client(server)
