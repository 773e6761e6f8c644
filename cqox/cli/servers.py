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
    """Return a client of a server, with the token of a file, of the environment, or of `cqox login`.

    Args:
        server: its address.
        token_file: holds the token; None for that of the environment.

    Raises:
        InvalidRequest: the address or the token cannot be used, or a package is missing.
    """
    try:
        from cqox.client import Client
        from cqox.client.address import server_at
        from cqox.client.environment import read_token
        from cqox.client.stored_login import StoredLogin, load
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "cqox":
            raise
        raise InvalidRequest(Message("terminal.server-needs", package=error.name)) from error
    suppress_log_lines()
    if token_file is not None:
        return Client(server, token=read_token(token_file))
    found = server_at(server)
    has_credentials = found.grant is not None or "Authorization" in found.headers
    return Client(server, credentials=None if has_credentials or load(found.url) is None else StoredLogin())
