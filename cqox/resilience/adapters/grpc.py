"""Interceptors of grpc.aio that send every call with one request message through a policy."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import anyio
import grpc
from grpc import aio

from cqox.resilience.adapters.guarded_request import GuardedRequest
from cqox.resilience.adapters.host_policies import HostPolicies, PolicySource
from cqox.resilience.adapters.spent_deadline import expired_deadline
from cqox.resilience.deadlines.deadline import remaining
from cqox.resilience.propagation.http import attempt_headers
from cqox.resilience.retry.classification import is_transient
from cqox.resilience.runtime.ambient_deadline import in_force
from cqox.resilience.runtime.joined_tasks import run_for_awaiter
from cqox.resilience.runtime.ranges import check_callable

__all__ = ["resilient_interceptors"]

_SLACK = 0.05
"""Seconds by which gRPC's timer may fire before the scope that its timeout was taken from."""


class Details(Protocol):
    """Description of a call of grpc.aio: `grpc.aio.ClientCallDetails`."""

    method: Any  # bytes, which its own annotations call a text
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None


type Continuation = Callable[[Any, Any], Awaitable[Any]]
"""Starts the call of grpc.aio for details and a request message."""


def resilient_interceptors(
    policies: PolicySource, *, idempotent: Callable[[str], bool] | None = None
) -> list[aio.ClientInterceptor]:
    """Make interceptors: `grpc.aio.insecure_channel(target, interceptors=resilient_interceptors(policy))`.

    They guard calls with one request message, whether the answer is one message or a stream; the request of the others
    is a stream, which is sent once, so that they pass untouched. The policy of a streamed answer ends with its first
    message, which is awaited before the caller gets any.

    UNAVAILABLE, RESOURCE_EXHAUSTED and DEADLINE_EXCEEDED are failures for the parts of the policy; every other code is
    an answer to them. The caller gets the `AioRpcError` in either case. A method is repeated only where `idempotent`
    says so: gRPC itself repeats what has never been sent.

    The timeout of an attempt is the smaller of the caller's and of the time left; it travels as gRPC's own deadline.
    For a streamed answer it leaves out the `Timeout` of the policy, which ends with the first message. Number and
    criticality travel as the metadata `x-retry-attempt` and `x-criticality`.

    A `Fallback` returns the message, or an asynchronous iterator of them; predicates on results (`retry_if`,
    `failure_if`) get no message.

    Args:
        policies: one policy for all services, or a function that returns the policy of a service, such as
            `policy.for_key`; a service is given as `package.Service`.
        idempotent: returns whether a method, such as `/package.Service/Get`, may be executed twice; None means that no
            method may.

    Raises:
        ValueError: a setting is out of its range.
    """
    check_callable("idempotent", idempotent)
    services = HostPolicies(policies)
    return [_UnaryUnary(services, idempotent), _UnaryStream(services, idempotent)]


@dataclass(slots=True)
class _Answer:
    """End of one attempt that is no failure of the service.

    Attributes:
        call: the call of grpc.aio, None where it failed.
        messages: what is left of a streamed answer.
        error: the exception of a call that was answered by an error.
    """

    call: Any = None
    messages: "_Messages | None" = None
    error: aio.AioRpcError | None = None


class _Messages:
    """A streamed answer whose first message has been read."""

    __slots__ = ("_first", "_rest")

    def __init__(self, first: tuple[object, ...], rest: AsyncIterator[object]) -> None:
        self._first = first
        self._rest = rest

    # Not a generator: an abandoned one would be closed only by the garbage collector.
    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> object:
        if self._first:
            first, self._first = self._first[0], ()
            return first
        return await anext(self._rest)


class _Rpc(GuardedRequest):
    """One call, with the calls of its attempts that are still open."""

    __slots__ = ("_around", "_continuation", "_details", "_idempotent", "_open", "_request", "_streamed")

    def __init__(
        self, continuation: Continuation, details: Details, request: object, *, idempotent: bool, streamed: bool
    ) -> None:
        self._continuation = continuation
        self._details = details
        self._request = request
        self._idempotent = idempotent
        self._streamed = streamed
        self._around = in_force()
        self._open: list[Any] = []

    def may_repeat(self, error: Exception | None) -> bool:
        """See `CallSafety.may_repeat`."""
        return self._idempotent

    async def attempt(self) -> _Answer:
        details = self._next_details()
        with self.sending():
            call = await self._continuation(details, self._request)
            self._open.append(call)
            try:
                return await (self._first_message(call) if self._streamed else self._message(call))
            except aio.AioRpcError as error:
                if not is_transient(error):
                    return _Answer(error=error)
                await self._end_with_own_scope(error)
                raise
            except BaseException:
                call.cancel()
                raise

    async def _message(self, call: Any) -> _Answer:  # noqa: ANN401 - grpc.aio has no types
        # A cancellation that reaches the task of grpc.aio comes back as another, which no cancel scope knows.
        done = anyio.Event()

        def end(_: object) -> None:
            done.set()

        call.add_done_callback(end)
        await done.wait()
        await call
        return _Answer(call)

    async def _first_message(self, call: Any) -> _Answer:  # noqa: ANN401 - grpc.aio has no types
        messages = aiter(call)
        try:
            first: tuple[object, ...] = (await anext(messages),)
        except StopAsyncIteration:
            first = ()
        return _Answer(call, _Messages(first, messages))

    def cancel_all_but(self, kept: object) -> None:
        """Cancel the calls that the caller does not get."""
        others, self._open = [call for call in self._open if call is not kept], []
        for call in others:
            call.cancel()

    def _next_details(self) -> aio.ClientCallDetails:
        details = self._details
        fields = attempt_headers("", remaining(), has_key=True)
        seconds = self._seconds_left()
        timeout = seconds if details.timeout is None else min(details.timeout, seconds)
        metadata = aio.Metadata(*(details.metadata or ()))
        for name, value in fields.items():
            if name != "X-Request-Timeout-Ms":
                metadata[name.lower()] = value
        return aio.ClientCallDetails(
            details.method,
            None if timeout == math.inf else timeout,
            metadata,
            details.credentials,
            details.wait_for_ready,
        )

    def _seconds_left(self) -> float:
        if not self._streamed:
            return remaining()
        # A stream outlasts the policy, and so the timeout of an attempt.
        return math.inf if self._around is None else self._around.remaining()

    async def _end_with_own_scope(self, error: aio.AioRpcError) -> None:
        """Let the scope end the attempt whose time was gRPC's timeout, so that it does not matter which fires first."""
        left = remaining()
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and left < _SLACK:
            await anyio.sleep(left + _SLACK)
            if (expired := expired_deadline()) is not None:
                raise expired from error


class _Interceptor:
    def __init__(self, services: HostPolicies, idempotent: Callable[[str], bool] | None) -> None:
        self._services = services
        self._idempotent = idempotent

    async def guard(self, continuation: Continuation, details: Details, request: object, *, streamed: bool) -> Any:  # noqa: ANN401 - grpc.aio has no types
        # grpc.aio runs interceptors in a task of their own; the deadline of the caller is a number there.
        run_for_awaiter()
        method = details.method.decode() if isinstance(details.method, bytes) else str(details.method)
        policy = self._services.policy_of(method.strip("/").rpartition("/")[0])
        idempotent = self._idempotent is not None and self._idempotent(method)
        rpc = _Rpc(continuation, details, request, idempotent=idempotent, streamed=streamed)
        answer: object = None
        try:
            with rpc.guarded():
                answer = await policy.call(rpc.attempt)
        finally:
            rpc.cancel_all_but(answer.call if isinstance(answer, _Answer) else None)
        if not isinstance(answer, _Answer):
            return answer  # the message or messages of a fallback
        if answer.error is not None:
            raise answer.error
        return answer.messages if streamed else answer.call


class _UnaryUnary(_Interceptor, aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    async def intercept_unary_unary(
        self, continuation: Continuation, client_call_details: Details, request: object
    ) -> Any:  # noqa: ANN401 - grpc.aio has no types
        return await self.guard(continuation, client_call_details, request, streamed=False)


class _UnaryStream(_Interceptor, aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
    async def intercept_unary_stream(
        self, continuation: Continuation, client_call_details: Details, request: object
    ) -> Any:  # noqa: ANN401 - grpc.aio has no types
        return await self.guard(continuation, client_call_details, request, streamed=True)
