"""Users of a database that the vault creates for a while: leased, renewed, and replaced before they end.

A lease ends with the token that brought it, so that another login brings another user.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock

from cqox.vault.client import Answer, Vault
from cqox.vault.errors import VaultError, VaultUnavailable
from cqox.vault.token import RENEW_SHARE, pause

__all__ = ["DatabaseLogin", "DatabaseLogins"]

_LEASE = "the database user"
_RETRY_SECONDS = 5.0
_SHORTENED_SHARE = 0.5
_log = logging.getLogger("cqox.vault")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLogin:
    """One user of the database.

    Attributes:
        user: its name.
        password: its password.
        number: counts the users of this process.
        lease_id: names the lease.
        seconds: its life when it was issued, which each renewal should bring again.
        ends: when the vault removes it, in seconds of a monotonic clock.
        renew_at: when it should be renewed or replaced.
        token_number: of the login to the vault that brought it.
    """

    user: str
    password: str = field(repr=False)
    number: int
    lease_id: str
    seconds: float
    ends: float
    renew_at: float
    token_number: int


class DatabaseLogins:
    """The users of one role of the database engine, for any thread; its methods block.

    Args:
        vault: the vault.
        path: such as `database/creds/cqox`.
    """

    def __init__(self, vault: Vault, path: str) -> None:
        self._vault = vault
        self._path = path
        self._lock = Lock()
        self._login: DatabaseLogin | None = None
        self._number = 0
        self._replaced: list[Callable[[], None]] = []

    def on_replaced(self, call: Callable[[], None]) -> None:
        """Have a function called after each replacement, in the thread that has found it due."""
        self._replaced.append(call)

    def current(self) -> DatabaseLogin:
        """Return the user in force; have one created where there is none.

        Raises:
            VaultError: none can be had.
        """
        login = self._login
        if login is not None and self._vault.clock() < login.ends:
            return login
        with self._lock:
            login = self._login
            if login is not None and self._vault.clock() < login.ends:
                return login
            return self._create()

    def is_current(self, number: int) -> bool:
        """Return whether a connection of this user may be used for another query."""
        login = self._login
        return login is not None and login.number == number

    def renounce(self, number: int) -> None:
        """Forget a user that the database no longer knows, such as one whose lease was revoked."""
        with self._lock:
            if self._login is None or self._login.number != number:
                return
            _log.warning("The database user %s is gone; another one is asked for.", self._login.user)
            self._login = None

    def keep(self) -> float:
        """Renew or replace the user where that is due; return the seconds until it is due again.

        Nothing is due before a user has been asked for.
        """
        with self._lock:
            before = self._login
            if before is not None and self._is_due(before):
                self._keep(before)
            login = self._login
        if before is not None and login is not None and login.number != before.number:
            for call in self._replaced:
                call()
        return _RETRY_SECONDS if login is None else max(0.05, login.renew_at - self._vault.clock())

    def _is_due(self, login: DatabaseLogin) -> bool:
        number = self._vault.token_number
        return self._vault.clock() >= login.renew_at or number not in (0, login.token_number)

    def _keep(self, login: DatabaseLogin) -> None:
        try:
            if self._vault.token_number != login.token_number or not self._renewed(login):
                self._create()
        except VaultError as error:
            now = self._vault.clock()
            level = logging.DEBUG if self._vault.outage.reason else logging.WARNING
            _log.log(level, "The database user cannot be renewed yet: %s", error)
            self._login = replace(login, renew_at=now + pause(login.ends - now))

    def _renewed(self, login: DatabaseLogin) -> bool:
        """Return whether the lease was prolonged by at least half of its life."""
        now = self._vault.clock()
        try:
            answer = self._vault.write(
                "sys/leases/renew", {"lease_id": login.lease_id, "increment": int(login.seconds)}, method="PUT"
            )
        except VaultUnavailable:
            raise
        except VaultError as error:
            _log.info("The lease of the database user cannot be renewed: %s", error)
            return False
        seconds = _seconds(answer)
        if seconds < _SHORTENED_SHARE * login.seconds:
            return False
        self._take(replace(login, ends=now + seconds, renew_at=now + RENEW_SHARE * seconds))
        return True

    def _create(self) -> DatabaseLogin:
        now = self._vault.clock()
        answer = self._vault.read(self._path)
        data = answer.get("data")
        user, password = (data.get("username"), data.get("password")) if isinstance(data, dict) else (None, None)
        seconds = _seconds(answer)
        if not isinstance(user, str) or not isinstance(password, str) or not seconds:
            raise VaultUnavailable(f"{self._path} names no user with a lease", is_outage=False)
        self._number += 1
        login = DatabaseLogin(
            user=user,
            password=password,
            number=self._number,
            lease_id=str(answer.get("lease_id")),
            seconds=seconds,
            ends=now + seconds,
            renew_at=now + RENEW_SHARE * seconds,
            token_number=self._vault.token_number,
        )
        self._take(login)
        _log.info("The database user %s is in force for %g s.", user, seconds)
        return login

    def _take(self, login: DatabaseLogin) -> None:
        self._login = login
        self._vault.outage.leases[_LEASE] = login.ends


def _seconds(answer: Answer) -> float:
    seconds = answer.get("lease_duration")
    return float(seconds) if isinstance(seconds, int | float) else 0.0
