"""Servers of CQOx that a command asks in place of this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

from cqox.cli.output import suppress_log_lines
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

if TYPE_CHECKING:
    from cqox.client import Client

__all__ = ["open_client"]


def open_client(server: str, token_file: Path | None = None) -> "Client":
    """Return a client of a server, with the token of a file, or of the environment if there is one.

    Args:
        server: its address.
        token_file: holds the token; None for that of the environment.

    Raises:
        InvalidRequest: the address or the token cannot be used, or a package is missing.
    """
    try:
        from cqox.client import Client
        from cqox.client.address import read_token
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "cqox":
            raise
        raise InvalidRequest(Message("terminal.server-needs", package=error.name)) from error
    suppress_log_lines()
    return Client(server, token=None if token_file is None else read_token(token_file))
