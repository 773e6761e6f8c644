"""What an answer of the engine means to the policies around the call: fine, a failure, or no verdict on the engine."""

from collections.abc import Mapping

import httpx

from cqox.errors import CqoxError, EngineUnavailable, ServiceError
from cqox.resilience.retry.retry_after import retry_after_of
from services.gateway.engine_client import Promise, Reply
from services.gateway.response_contract import problem_of, unkept
from services.gateway.transport import ForeignAnswer

__all__ = [
    "FAIR_SHARE_SECONDS",
    "AnswerUnusable",
    "Answered",
    "EngineBusy",
    "EngineFailed",
    "EngineLost",
    "EngineMisdirected",
    "EngineOutOfTime",
    "EngineSilent",
    "EngineStalled",
    "EngineUnasked",
    "EngineUnreached",
    "checked",
    "lost",
    "worth_another_try",
]

_DRAINING = "draining"
_NOTHING_TRIED = "workers-unavailable"
_CORRUPTED = "content-digest-mismatch"
_NOT_HTTP = "bad-request"
"""The type of what an engine refuses before it is a request; what the gateway sends is one."""
_OF_ONE_JOB = "too-many-listeners"
"""The type of a 429 that says nothing of the engine's load: no other engine could do better."""

_BEHIND_THE_ENGINE = frozenset({"store-unavailable", "worker-lost", "circuit-open", "rejected", "unavailable"})
"""Types of a 503 that say that the engine lives and has tried: something that it needs is away."""
_NO_ROOM = "insufficient-storage"
"""The type of a 507: the engine is well, and its client or operator has to delete something."""

FAIR_SHARE_SECONDS = 1.0
"""A time that is shorter is too short to judge an engine by."""


class Answered:
    """The head of an answer, as the retry reads it.

    Attributes:
        headers: by name in lower case; the first of a name.
    """

    __slots__ = ("headers",)

    def __init__(self, reply: Reply) -> None:
        self.headers: Mapping[str, str] = {
            name.decode("latin1"): value.decode("latin1") for name, value in reversed(reply.headers)
        }


class EngineFailed(EngineUnavailable):
    """The engine answered that it failed.

    Attributes:
        reply: its answer.
        response: the head of it; the retry reads `Retry-After` there.
        retry_after: seconds that it asks to wait, 0.0 where it asks for nothing.
    """

    def __init__(self, reply: Reply) -> None:
        request_id = reply.header(b"x-request-id")
        where = f"its log has the request id {request_id}" if request_id else "it did not say to which request"
        super().__init__(f"The engine failed with {reply.status}; {where}.")
        self.reply = reply
        self.response = Answered(reply)
        self.retry_after = retry_after_of(self) or 0.0


class AnswerUnusable(EngineUnavailable):
    """The engine, or whatever is on its port, answered what is no answer to the request."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The engine's answer cannot be used: {why}.")


class EngineLost(EngineUnavailable):
    """The engine was lost before its answer was whole."""


class EngineUnreached(EngineLost):
    """No connection to the engine could be made, so that nothing was sent."""


class EngineStalled(EngineUnavailable):
    """The engine no longer answered its liveness probe while it had a request to answer."""


class EngineUnasked(ServiceError):
    """An engine could not be asked for what the others do not know. No failure to a circuit: they are well."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"No engine that answers knows of it, and one could not be asked: {error}")


class EngineMisdirected(ServiceError):
    """The engine does not answer to the name by which the gateway knows it. No failure to a circuit: it is well."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"The engine refuses requests for the host '{host}', which is in ENGINE_URL of the gateway: add it to "
            "CQOX_ALLOWED_HOSTS of the engine."
        )


class EngineBusy(CqoxError):
    """The engine is well and took nothing: it refuses for load, cannot compute now, or is shutting down.

    No failure to a circuit.

    Attributes:
        reply: its answer, which goes to the client if no other engine takes the request.
        response: the head of it; the retry reads `Retry-After` there.
        draining: whether it is shutting down.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"The engine answered {reply.status} and took nothing.")
        self.reply = reply
        self.response = Answered(reply)
        self.draining = problem_of(reply).get("type") == _DRAINING


class EngineOutOfTime(CqoxError):
    """The time was up, which says nothing about the engine: it had too little, or was busy answering others.

    Attributes:
        reply: its answer, where it gave one.
    """

    def __init__(self, reply: Reply | None = None) -> None:
        super().__init__("The time was up.")
        self.reply = reply


class EngineSilent(EngineUnavailable):
    """The time was up, and the engine answered nobody meanwhile."""


def checked(
    reply: Reply, *, seconds: float, answers_others: bool = False, promise: Promise | None = None, host: str = ""
) -> Reply:
    """The reply, if it is an answer to the request, whatever its status.

    Args:
        reply: what the engine answered.
        seconds: how much time there was when it was asked.
        answers_others: whether it has answered another request since.
        promise: what it must be where all goes well; None where that is not looked at.
        host: what the engine was called when it was asked.

    Raises:
        EngineMisdirected: 421, which is about our request and not about the client's.
        EngineBusy: 429, or 503 because the engine is shutting down or has no workers.
        EngineOutOfTime: 504, and there had been less time than an engine's fair share, or it answered others.
        EngineFailed: another 5xx, unless it is a 503 that says which part behind the engine is away, or a 507 that
            says that a store has no room.
        AnswerUnusable: a status that is none, or not what was promised, or it answers what was not sent.
    """
    status = reply.status
    if status == 429 and problem_of(reply).get("type") != _OF_ONE_JOB:
        raise EngineBusy(reply)
    if status == 421:
        raise EngineMisdirected(host)
    if status == 400 and problem_of(reply).get("type") in (_CORRUPTED, _NOT_HTTP):
        # The gateway has compared what it was sent: it was changed on the way from here.
        raise AnswerUnusable("it received another body than was sent")
    if 400 <= status < 500:
        return reply
    if 500 <= status < 600:
        return _excused(reply, seconds=seconds, answers_others=answers_others)
    why = (
        f"it has the status {status}" if not 200 <= status < 300 else "" if promise is None else unkept(reply, promise)
    )
    if why:
        raise AnswerUnusable(why)
    return reply


def _excused(reply: Reply, *, seconds: float, answers_others: bool) -> Reply:
    kind = problem_of(reply).get("type")
    if reply.status == 503 and kind in (_DRAINING, _NOTHING_TRIED):
        raise EngineBusy(reply)
    if reply.status == 503 and kind in _BEHIND_THE_ENGINE:
        return reply
    if reply.status == 507 and kind == _NO_ROOM:
        return reply
    if reply.status == 504 and (seconds < FAIR_SHARE_SECONDS or answers_others):
        raise EngineOutOfTime(reply)
    raise EngineFailed(reply)


def lost(error: httpx.TransportError) -> EngineUnavailable:
    """An exception of the transport in the words of the gateway."""
    if isinstance(error, ForeignAnswer):
        return AnswerUnusable(str(error))
    if isinstance(error, httpx.ConnectTimeout):
        return EngineUnreached("The engine did not accept a connection in time.")
    if isinstance(error, httpx.ConnectError):
        return EngineUnreached(f"The engine cannot be reached: {error or type(error).__name__}.")
    return EngineLost(f"The engine was lost before its answer was whole: {error or type(error).__name__}.")


def worth_another_try(error: Exception) -> bool:
    """Whether the same request may fare better in a moment, or elsewhere.

    A 504 has used the time up.
    """
    if isinstance(error, EngineFailed):
        return error.reply.status != 504
    return isinstance(error, AnswerUnusable | EngineBusy | EngineLost | EngineStalled | EngineUnasked)
