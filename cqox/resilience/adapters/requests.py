"""An adapter of requests that sends every request through a policy."""

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NoReturn, cast
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from cqox.resilience.adapters.host_policies import PolicySource
from cqox.resilience.adapters.http_call import (
    FAILURE_STATUSES,
    HttpCall,
    HttpSettings,
    is_short,
)
from cqox.resilience.adapters.spent_deadline import expired_deadline
from cqox.resilience.deadlines.deadline import remaining
from cqox.resilience.propagation.http import attempt_headers

__all__ = ["FailedResponse", "ResilientAdapter"]

type _Timeout = float | tuple[float | None, float | None] | None
type _Send = Callable[[PreparedRequest, _Timeout], Response]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class FailedResponse(requests.HTTPError):
    """A response whose status counts as a failure, as the parts of the policy see it; the caller gets the response."""


class ResilientAdapter(HTTPAdapter):
    """An adapter that sends through a policy: `session.mount("https://", ResilientAdapter(policy))`.

    It has the rules of `cqox.resilience.adapters.httpx.ResilientTransport`: which requests are repeated, what each
    attempt carries, what the caller gets. No thread can be interrupted: a time limit shortens the timeouts of requests,
    each of which bounds one wait.
    """

    def __init__(
        self,
        policies: PolicySource,
        *,
        failure_statuses: Collection[int] = FAILURE_STATUSES,
        idempotent: Callable[[PreparedRequest], bool] | None = None,
        pool_connections: int = 10,
        pool_maxsize: int = 10,
        pool_block: bool = False,
    ) -> None:
        """Make an adapter. It makes no retries of urllib3, which would multiply those of the policy.

        Args:
            policies: one policy for all hosts, also by its name (`registry.policy(name)`), or a function that returns
                the policy of a host (`host`, or `host:port` where the port is not that of the
                scheme), such as `policy.for_key`.
            failure_statuses: statuses that the policy sees as a failure, from 100 to 599.
            idempotent: returns whether a request may be executed twice; None goes by its method and its
                `Idempotency-Key`.
            pool_connections: see `requests.adapters.HTTPAdapter`.
            pool_maxsize: see there.
            pool_block: see there.

        Raises:
            ValueError: a setting is out of its range.
        """
        self._settings = HttpSettings(policies, failure_statuses=failure_statuses, idempotent=idempotent)
        super().__init__(pool_connections=pool_connections, pool_maxsize=pool_maxsize, pool_block=pool_block)

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: _Timeout = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> Response:
        """Send a request through its policy; the arguments are those of `HTTPAdapter.send`.

        Raises:
            Rejected: the policy sent nothing.
            DeadlineExceeded: the deadline has passed.
            requests.RequestException: the last attempt failed.
        """

        def send(attempt: PreparedRequest, limit: _Timeout) -> Response:
            return super(ResilientAdapter, self).send(attempt, stream, limit, verify, cert, proxies)

        policy = self._settings.hosts.policy_of(_host(request))
        call = _Call(request, send, timeout, self._settings, streamed=stream)
        try:
            with call.guarded():
                returned = policy.call(call.attempt)
        except FailedResponse as failed:
            returned = cast("Response", failed.response)
        except BaseException:
            call.close_all_but(None)
            raise
        call.close_all_but(returned)
        return returned

    def __reduce__(self) -> NoReturn:
        raise TypeError("an adapter with policies cannot be pickled: their state belongs to this process")


class _Call(HttpCall):
    __slots__ = ("_open", "_request", "_send", "_statuses", "_streamed", "_timeout")

    def __init__(
        self,
        request: PreparedRequest,
        send: _Send,
        timeout: _Timeout,
        settings: HttpSettings[PreparedRequest],
        *,
        streamed: bool,
    ) -> None:
        super().__init__(
            request.method or "",
            request.headers or {},
            said_idempotent=settings.said_idempotent(request),
            repeatable=isinstance(request.body, str | bytes | None),
            is_unsent=_is_unsent,
        )
        self._request = request
        self._send = send
        self._timeout = timeout
        self._statuses = settings.failure_statuses
        self._streamed = streamed
        self._open: list[Response] = []

    def attempt(self) -> Response:
        self.close_all_but(None)
        seconds = remaining()
        request = self._request.copy()
        request.headers.update(attempt_headers(self.method, seconds, has_key=self.has_key))
        with self.sending():
            try:
                response = self._send(request, _shortened(self._timeout, seconds))
                self._open.append(response)
                response.request = self._request
                if response.status_code not in self._statuses:
                    return response
                if not self._streamed and self.may_repeat(None) and is_short(response.headers.get("Content-Length")):
                    _ = response.content
            except requests.RequestException as error:
                error.request = self._request
                if isinstance(error, requests.Timeout) and (expired := expired_deadline()) is not None:
                    raise expired from error
                raise
        message = f"{request.method} {request.url}: {response.status_code}"
        raise FailedResponse(message, request=self._request, response=response)

    def close_all_but(self, returned: Response | None) -> None:
        others, self._open = [response for response in self._open if response is not returned], []
        for response in others:
            with suppress(Exception):  # its failure says nothing new
                response.close()


def _is_unsent(error: Exception) -> bool:
    """Return whether urllib3 could not connect; the class of an exception of requests says too little."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectionError) and isinstance(reason, NewConnectionError)


def _shortened(timeout: _Timeout, seconds: float) -> _Timeout:
    """Return the timeouts of requests, none of which is longer than `seconds`."""
    if isinstance(timeout, tuple):
        connect, read = timeout
        return _shorter(connect, seconds), _shorter(read, seconds)
    return _shorter(timeout, seconds)


def _shorter(limit: float | None, seconds: float) -> float | None:
    shorter = seconds if limit is None else min(limit, seconds)
    return None if shorter == float("inf") else shorter


def _host(request: PreparedRequest) -> str:
    address = urlsplit(str(request.url))
    host = address.hostname or ""
    named = f"[{host}]" if ":" in host else host
    return named if address.port in (None, _DEFAULT_PORTS.get(address.scheme)) else f"{named}:{address.port}"
