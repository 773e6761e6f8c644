"""Client of one vault: requests with the token of a login, which is renewed, and replaced when it is revoked.

Its methods block, and may be called by several threads at once. No message, log line or representation holds a secret.
A vault that does not answer is asked by a retry within a circuit breaker; while the circuit is open calls fail at once.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Any, Self

import httpx

from cqox.errors import ResilienceError
from cqox.resilience import CircuitBreaker, Policy, Retry
from cqox.vault.access import VaultAccess
from cqox.vault.answers import MOST_BYTES, PERMISSION_DENIED, parse
from cqox.vault.errors import VaultError, VaultMisused, VaultRefused, VaultRejected, VaultUnavailable
from cqox.vault.login import Login, read_login
from cqox.vault.outage import Outage
from cqox.vault.token import Token

__all__ = ["NOT_FOUND", "Answer", "Vault"]

type Answer = Mapping[str, Any]

NOT_FOUND = 404

_SECONDS = 5.0
_ATTEMPTS = 3
_FAILURES = 3
_RECOVERY_SECONDS = 1.0
_LOOKUP = "auth/token/lookup-self"
_RENEW = "auth/token/renew-self"
_REVOKE = "auth/token/revoke-self"
_MASK = "***"
_INDEX = "X-Vault-Index"
"""Header field with the place of a write in the log of a cluster, whose other servers may lag behind."""
_log = logging.getLogger("cqox.vault")


class Vault:
    """One vault; close it, or use it as a context manager. Nothing is asked until the first request.

    Args:
        access: address, role file and authorities.
        clock: a monotonic time in seconds.
        now: the time in seconds since the epoch.
        seconds: bound of one attempt of a request.

    Attributes:
        outage: since when it is unavailable, if it is, and what ends meanwhile.
    """

    def __init__(
        self,
        access: VaultAccess,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        seconds: float = _SECONDS,
    ) -> None:
        self.access = access
        self.clock = clock
        self.outage = Outage(clock, now)
        self._seconds = seconds
        self._login_lock, self._client_lock = Lock(), Lock()
        self._token: Token | None = None
        self._logins = 0
        self._client: httpx.Client | None = None
        self._replaced: list[httpx.Client] = []
        self._trusted: tuple[object, ...] = ()
        circuit = CircuitBreaker(
            "vault", _FAILURES, _RECOVERY_SECONDS, failures=_is_outage, probe_timeout=2 * seconds, key="vault breaker"
        )
        retry = Retry(_ATTEMPTS, 0.1, 1.0, exceptions=_is_retryable, idempotent=True, name="vault")
        self._exchange = Policy("vault", circuit, retry)(self._attempt)
        self._exchange_once = Policy("vault once", circuit)(self._attempt)

    def __repr__(self) -> str:
        return f"Vault({self.access.address!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The token is left to its end, unless `log_out` has revoked it."""
        with self._client_lock:
            clients = [*self._replaced, *([self._client] if self._client is not None else [])]
            self._client, self._replaced = None, []
        for client in clients:
            client.close()

    def log_out(self) -> None:
        """Revoke the token and all that it has brought, as far as the vault answers at once."""
        with self._login_lock:
            token, self._token = self._token, None
        if token is not None:
            with suppress(VaultError):
                self._attempt("POST", _REVOKE, {}, token)

    @property
    def token_number(self) -> int:
        """Number of the login whose token is in use; 0 before the first."""
        return 0 if self._token is None else self._token.number

    def read(self, path: str) -> Answer:
        """Return the answer to a GET.

        Raises:
            VaultError: as `write`; `VaultRejected` with the status 404 where there is nothing.
        """
        return self._request("GET", path, None)

    def write(
        self, path: str, body: Mapping[str, object] | None = None, *, method: str = "POST", after: Answer | None = None
    ) -> Answer:
        """Return the answer to a request that changes or issues something; it may be sent twice.

        Args:
            path: without the leading `/v1/`.
            body: its members.
            method: of HTTP.
            after: answer to an earlier write. In a cluster, only a server that knows of that write answers then.

        Raises:
            VaultUnavailable: the vault does not answer, is sealed, or cannot do it now.
            VaultRefused: the login is refused, or may not do this.
            VaultRejected: it cannot be done as asked for.
            VaultMisused: the role file or the authorities cannot be used.
        """
        return self._request(method, path, body or {}, index=str((after or {}).get(_INDEX, "")))

    def look(self) -> None:
        """Ask the vault once whether it is there and unsealed, without a login.

        Raises:
            VaultUnavailable: it is not.
        """
        self._guarded("GET", "sys/health?standbyok=true&perfstandbyok=true", None, None, once=True)

    def keep_token(self) -> float:
        """Renew the token where that is due, or log in; return the seconds until it is due again.

        Raises:
            VaultError: there is no token and none can be had.
        """
        token = self._valid_token()
        return max(0.1, token.renew_at - self.clock())

    def _request(self, method: str, path: str, body: Mapping[str, object] | None, *, index: str = "") -> Answer:
        token = self._valid_token()
        try:
            return self._guarded(method, path, body, token, index=index)
        except _Denied:
            pass
        token = self._verified_token(token)
        try:
            return self._guarded(method, path, body, token, index=index)
        except _Denied:
            raise VaultRefused(f"the vault at {self.access.address} does not allow {method} {_bare(path)}") from None

    def _valid_token(self) -> Token:
        token, now = self._token, self.clock()
        if token is not None and now < token.renew_at:
            return token
        # While another thread renews it, the token that is still valid serves.
        if not self._login_lock.acquire(blocking=token is None or now >= token.ends):
            assert token is not None
            return token
        try:
            token, now = self._token, self.clock()
            if token is None or now >= token.ends:
                return self._logged_in()
            return token if now < token.renew_at else self._renewed(token, now)
        finally:
            self._login_lock.release()

    def _renewed(self, token: Token, now: float) -> Token:
        try:
            if not token.is_renewable:
                return self._logged_in()
            try:
                auth = self._guarded("POST", _RENEW, {}, token).get("auth") or {}
            except (_Denied, VaultRejected):
                return self._logged_in()
            renewed = token.renewed(auth, now=now)
            self._take(renewed)
            return renewed if renewed.is_renewable else self._logged_in()
        except VaultError as error:
            # The begin of an outage is logged by itself.
            level = logging.DEBUG if self.outage.reason else logging.WARNING
            _log.log(level, "The token of the vault cannot be renewed yet: %s", error)
            self._token = kept = token.later(now=now)
            return kept

    def _verified_token(self, token: Token) -> Token:
        """Return a token that the vault knows: the given one, or that of another login where it was revoked."""
        with self._login_lock:
            if self._token is not None and self._token.number != token.number:
                return self._token
            try:
                self._guarded("GET", _LOOKUP, None, token)
            except _Denied:
                _log.warning("The token of the vault was revoked; logging in again.")
                return self._logged_in()
            return token

    def _logged_in(self) -> Token:
        try:
            login = read_login(self.access.role_file)
        except VaultMisused as error:
            self.outage.began("login", str(error))
            raise
        now = self.clock()
        try:
            answer = self._guarded("POST", login.path, login.body, None)
            token = Token.of_login(
                answer.get("auth") or {}, number=self._logins + 1, now=now, index=str(answer.get(_INDEX, ""))
            )
        except (_Denied, VaultRejected) as error:
            reason = f": {_without(login, str(error))}" if isinstance(error, VaultRejected) else ""
            refused = VaultRefused(
                f"the vault at {self.access.address} refuses the login with {self.access.role_file}{reason}"
            )
            self.outage.began("login", str(refused))
            raise refused from None
        except ValueError as error:
            raise VaultUnavailable(f"{self.access.address}: {error}") from None
        self._logins += 1
        self._take(token)
        return token

    def _take(self, token: Token) -> None:
        self._token = token
        self.outage.ended("login")
        self.outage.leases["its token"] = token.ends

    def _guarded(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        token: Token | None,
        *,
        once: bool = False,
        index: str = "",
    ) -> Answer:
        try:
            answer = (self._exchange_once if once else self._exchange)(method, path, body, token, index)
        except VaultUnavailable as error:
            # A new one: the chain of the old one holds the request with the token.
            reason, is_outage = str(error), error.is_outage
        except ResilienceError:
            raise VaultUnavailable(self.outage.reason or self._unavailable("it did not answer")) from None
        except (_Denied, VaultRejected):
            self.outage.ended("answer")
            raise
        else:
            self.outage.ended("answer")
            return answer
        message = self._unavailable(reason)
        if is_outage:
            self.outage.began("answer", message)
        raise VaultUnavailable(message, is_outage=is_outage)

    def _unavailable(self, reason: str) -> str:
        return f"the vault at {self.access.address} is unavailable: {reason}"

    def _attempt(
        self, method: str, path: str, body: Mapping[str, object] | None, token: Token | None, index: str = ""
    ) -> Answer:
        headers = {"X-Vault-Request": "true"}
        index = index or ("" if token is None else token.index)
        if index:
            headers |= {_INDEX: index, "X-Vault-Inconsistent": "forward-active-node"}
        if token is not None:
            headers["X-Vault-Token"] = token.value
        try:
            status, content, index = self._answered(method, path, headers, body)
        except httpx.TimeoutException:
            raise VaultUnavailable(f"no answer within {self._seconds:g} s", is_silent=True) from None
        except (httpx.HTTPError, OSError) as error:
            raise VaultUnavailable(str(error) or type(error).__name__) from None
        if status == PERMISSION_DENIED:
            raise _Denied
        answer = parse(_bare(path), status, content)
        return answer | {_INDEX: index} if index else answer

    def _answered(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, object] | None
    ) -> tuple[int, bytes, str]:
        content = bytearray()
        with self._connections().stream(method, f"/v1/{path}", headers=headers, json=body) as answer:
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > MOST_BYTES:
                    raise VaultUnavailable(f"it answers with more than {MOST_BYTES} bytes")
        return answer.status_code, bytes(content), answer.headers.get(_INDEX, "")

    def _connections(self) -> httpx.Client:
        stamp = self.access.trust_stamp()
        with self._client_lock:
            if self._client is not None and stamp == self._trusted:
                return self._client
            headers = {"X-Vault-Namespace": self.access.namespace} if self.access.namespace else {}
            # The proxies of the environment are for other machines.
            made = httpx.Client(
                base_url=self.access.address,
                headers=headers,
                verify=self.access.context() if self.access.address.startswith("https") else False,
                timeout=self._seconds,
                trust_env=not self.access.is_local,
            )
            if self._client is not None:
                # Requests in flight may use it; those of the one before it have ended.
                for older in self._replaced:
                    older.close()
                self._replaced = [self._client]
            self._client, self._trusted = made, stamp
            return made


class _Denied(VaultError):
    """The vault answers 403: the token is unknown to it, or its policies do not allow the request."""


def _is_outage(error: Exception) -> bool:
    return isinstance(error, VaultUnavailable) and error.is_outage


def _is_retryable(error: Exception) -> bool:
    # What was not answered may have been done, and takes long enough already.
    return isinstance(error, VaultUnavailable) and error.is_outage and not error.is_silent


def _bare(path: str) -> str:
    return path.partition("?")[0]


def _without(login: Login, text: str) -> str:
    for secret in sorted(login.body.values(), key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return text
