"""Sign-ins of a person on this machine: the tokens of each server in a file of its own, which others cannot read.

The file is in `$XDG_CONFIG_HOME/cqox/sign-ins`, by default below `~/.config`. Programs renew it in turn.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread

from cqox.client.oauth import Granted, TokenRefused, ask_for_token, asking, discover
from cqox.contract.messages import Message
from cqox.errors import NotAuthenticated

if TYPE_CHECKING:
    import httpx

__all__ = ["Login", "StoredLogin", "load", "remove", "save"]

_FOLDER, _FILE = 0o700, 0o600
_EARLY_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A sign-in at the provider of a server.

    Attributes:
        server: address of the server.
        issuer: the provider.
        client_id: the client that signed in.
        resource: audience of the access tokens; empty for the provider's default.
        access_token: the present one.
        refresh_token: for the next; empty where there is none.
        ends_at: when the access token ends, in seconds of the wall clock; 0 where that is unknown.
    """

    server: str
    issuer: str
    client_id: str
    resource: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    ends_at: float

    def renewed(self, granted: Granted, now: float) -> "Login":
        """Return it with fresh tokens; a provider that sends no new refresh token leaves the present one in force."""
        return replace(
            self,
            access_token=granted.access_token,
            refresh_token=granted.refresh_token or self.refresh_token,
            ends_at=0.0 if granted.seconds is None else now + granted.seconds,
        )


def load(server: str, environ: Mapping[str, str] = os.environ) -> Login | None:
    """Return the sign-in at a server; None where there is none, or the file cannot be read."""
    try:
        found = json.loads(_path(server, environ).read_text(encoding="utf-8"))
        login = Login(**found)
    except (OSError, ValueError, TypeError):
        return None
    return login if login.server == server else None


def save(login: Login, environ: Mapping[str, str] = os.environ) -> Path:
    """Write a sign-in so that only its owner can read it; return the file.

    Raises:
        OSError: it cannot be written.
    """
    path = _path(login.server, environ)
    path.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    path.parent.chmod(_FOLDER)
    fresh = path.with_suffix(f".{os.getpid()}")
    with suppress(FileNotFoundError):
        fresh.unlink()
    with open(
        os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE), "w", encoding="utf-8"
    ) as file:
        json.dump(asdict(login), file)
    fresh.replace(path)
    return path


def remove(server: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Remove the sign-in at a server; return whether there was one."""
    try:
        _path(server, environ).unlink()
    except FileNotFoundError:
        return False
    return True


class StoredLogin:
    """Access tokens of a stored sign-in, renewed by its refresh token; see `cqox.client.access_tokens.Grant`.

    Args:
        environ: names the folder.
        now: wall clock, in seconds.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, *, now: Callable[[], float] = time.time) -> None:
        self._environ = environ
        self._now = now

    async def fetch(self, server: str, http: "Callable[[], httpx.AsyncClient]", refused: str) -> Granted:
        """See `Grant.fetch`.

        Raises:
            NotAuthenticated: there is no sign-in, or it has ended.
        """
        lock = await to_thread.run_sync(_locked, _path(server, self._environ))
        try:
            login = load(server, self._environ)
            if login is None:
                raise NotAuthenticated(Message("client.login-missing", url=server))
            left = login.ends_at - self._now()
            # Another program may have renewed it meanwhile.
            if login.access_token != refused and (login.ends_at == 0 or left > _EARLY_SECONDS):
                return Granted(access_token=login.access_token, seconds=None if login.ends_at == 0 else left)
            granted = await self._renewed(login)
            await to_thread.run_sync(save, login.renewed(granted, self._now()), self._environ)
            return granted
        finally:
            os.close(lock)

    async def _renewed(self, login: Login) -> Granted:
        if not login.refresh_token:
            raise NotAuthenticated(Message("client.login-ended", url=login.server))
        form = {"grant_type": "refresh_token", "client_id": login.client_id, "refresh_token": login.refresh_token}
        if login.resource:
            form["resource"] = login.resource
        async with asking(login.issuer) as http:
            try:
                return await ask_for_token(http, await discover(http, login.issuer), form)
            except TokenRefused as error:
                raise NotAuthenticated(Message("client.login-ended", url=login.server)) from error


def _path(server: str, environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CONFIG_HOME", "")
    folder = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
    name = hashlib.sha256(server.encode("utf-8", "replace")).hexdigest()[:32]
    return folder / "cqox" / "sign-ins" / f"{name}.json"


def _locked(path: Path) -> int:
    """Return a file descriptor that holds the lock of a sign-in until it is closed."""
    path.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except BaseException:
        os.close(lock)
        raise
    return lock
