"""Users of the database that a vault creates for a while, one for all connections that are opened meanwhile."""

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import psycopg

from cqox.vault.errors import VaultError

if TYPE_CHECKING:
    from cqox.vault.database import DatabaseLogin, DatabaseLogins

__all__ = ["PostgresUsers"]

# What PostgreSQL says to a user that was removed: at the connection, and in one that is open.
_GONE = ("authentication failed for user", "does not exist", "is not permitted to log in")
_IS_THERE = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s"


class PostgresUsers:
    """The users of the connections of one pool.

    Args:
        logins: the users.
    """

    def __init__(self, logins: "DatabaseLogins") -> None:
        self._logins = logins
        self._used: WeakKeyDictionary[object, DatabaseLogin] = WeakKeyDictionary()

    def login(self) -> "DatabaseLogin":
        """Return the user for a new connection.

        Raises:
            psycopg.OperationalError: the vault gives none.
        """
        try:
            return self._logins.current()
        except VaultError as error:
            reason = str(error)
        raise psycopg.OperationalError(f"there is no database user: {reason}")

    def opened(self, connection: psycopg.Connection[Any], login: "DatabaseLogin") -> None:
        """Note whose connection it is."""
        self._used[connection] = login

    def refused(self, login: "DatabaseLogin", error: psycopg.OperationalError) -> None:
        """Have another user created where the database does not know this one any more."""
        if login.user in str(error) and any(text in str(error) for text in _GONE):
            self._logins.renounce(login.number)

    def is_current(self, connection: psycopg.Connection[Any]) -> bool:
        """Return whether the connection is one of the user in force."""
        login = self._used.get(connection)
        return login is not None and self._logins.is_current(login.number)

    def is_gone(self, connection: psycopg.Connection[Any]) -> bool:
        """Return whether the user of an open connection was removed, so that the database refuses its statements."""
        login = self._used.get(connection)
        if login is None:
            return False
        try:
            there = connection.execute(_IS_THERE, (login.user,)).fetchone() is not None
        except psycopg.Error:
            there = False
        if not there:
            self._logins.renounce(login.number)
        return not there
