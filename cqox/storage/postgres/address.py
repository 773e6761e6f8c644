"""Validation of a PostgreSQL address before any connection.

Messages never repeat the address: it may contain a password.
"""

import re

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cqox.storage.server_address import ServerAddress

__all__ = ["check_address", "names_user", "server_of"]

_FORM = "postgresql://user:password@host:5432/name, or key=value pairs"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCHEMES = ("postgresql", "postgres")
_OPTION = re.compile(r'(?:invalid URI query parameter: |invalid connection option )"(\w+)"')
_NOWHERE = "/nonexistent"
_PORT = "5432"


def check_address(conninfo: str) -> None:
    """Check that libpq can read the URL or key-value string, without connecting.

    Raises:
        ValueError: it cannot; the message is one line and names the setting.
    """
    scheme = _SCHEME.match(conninfo)
    if scheme is not None and scheme[1] not in _SCHEMES:
        raise ValueError(f"POSTGRES_URL cannot be read: it must be {_FORM}, and begins with {scheme[1]}://.")
    try:
        options = conninfo_to_dict(conninfo)
    except psycopg.Error as error:
        option = _OPTION.search(str(error))
        reason = f"PostgreSQL has no option '{option[1]}'" if option else f"it must be {_FORM}"
        raise ValueError(f"POSTGRES_URL cannot be read: {reason}.") from None
    for port in filter(None, str(options.get("port", "")).split(",")):
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(f"POSTGRES_URL cannot be read: '{port}' is not a port.")
    reason = _refused_value(conninfo)
    if reason:
        raise ValueError(f"POSTGRES_URL cannot be read: {reason}.")


def names_user(conninfo: str) -> bool:
    """Return whether a valid address names a user or a password."""
    options = conninfo_to_dict(conninfo)
    return bool(options.get("user") or options.get("password") or options.get("passfile"))


def server_of(conninfo: str) -> ServerAddress:
    """Return the server and the database of a valid address; of several servers, the first."""
    options = conninfo_to_dict(conninfo)
    host = str(options.get("host") or options.get("hostaddr") or "").split(",")[0]
    port = str(options.get("port") or _PORT).split(",")[0] or _PORT
    of_socket = not host or host.startswith(("/", "@"))
    return ServerAddress(
        host=host,
        port=None if of_socket else int(port),
        namespace=str(options.get("dbname") or options.get("user") or ""),
    )


def _refused_value(conninfo: str) -> str:
    # libpq validates option values only when it connects: connect to a socket path that does not exist.
    nowhere = make_conninfo(conninfo, host=_NOWHERE, hostaddr="", port="")
    message = pq.PGconn.connect_start(nowhere.encode()).get_error_message().strip()
    return message.splitlines()[0] if message.startswith("invalid ") else ""
