"""Every error that CQOx raises on purpose.

    CqoxError
    ├── ResilienceError                  something about the call, not about what was called
    │   ├── Rejected                     nothing was tried; has .policy and .retry_after
    │   │   ├── CircuitOpen
    │   │   ├── BulkheadFull
    │   │   ├── RateLimited
    │   │   ├── TooManyListeners
    │   │   ├── Shed
    │   │   └── Draining
    │   ├── AttemptTimeout               also a TimeoutError: one attempt ran longer than its own limit
    │   └── DeadlineExceeded             also a TimeoutError: the whole call ran out of time
    ├── InputError                       the client can correct it; .detail says how, .choices lists what is valid
    │   ├── InvalidRequest               the request does not fit its schema, or names what does not exist
    │   ├── UnusableData                 the data cannot answer the question asked
    │   ├── UnreadableFile               not a table in any format or encoding that was tried
    │   ├── BodyCorrupted                the body is not the one that its Content-Digest is of
    │   ├── LimitExceeded                more bytes, rows, columns or levels than the settings allow
    │   ├── NotFound                     no data set, analysis, figure or job of that id
    │   ├── KeyReused                    an idempotency key came again with another body
    │   └── RunsElsewhere                another engine runs that job
    └── ServiceError                     the client did nothing wrong
        ├── WorkerLost                   the process that computed died; its reply will never come
        ├── WorkersUnavailable           no process that could compute starts; nothing was tried
        ├── StoreUnavailable             a result could not be read or written
        │   └── StorageFull              a store has no room: something has to be deleted first
        └── EngineUnavailable            the gateway cannot reach its engine, or lost it before the answer was whole

The errors of `ResilienceError` are defined beside the policies that raise them and re-exported by `cqox.resilience`;
they live here so that any layer can name them. HTTP statuses live in `services.http`, not here.
"""

from collections.abc import Sequence

__all__ = [
    "AttemptTimeout",
    "BodyCorrupted",
    "BulkheadFull",
    "CircuitOpen",
    "CqoxError",
    "DeadlineExceeded",
    "Draining",
    "EngineUnavailable",
    "InputError",
    "InvalidRequest",
    "KeyReused",
    "LimitExceeded",
    "NotFound",
    "RateLimited",
    "Rejected",
    "ResilienceError",
    "RunsElsewhere",
    "ServiceError",
    "Shed",
    "StorageFull",
    "StoreUnavailable",
    "TooManyListeners",
    "UnreadableFile",
    "UnusableData",
    "WorkerLost",
    "WorkersUnavailable",
]


class CqoxError(Exception):
    """The root of the tree: catch it to catch all that CQOx raises on purpose."""


class ResilienceError(CqoxError):
    """A policy ended the call; the callee's own exceptions are never wrapped in one."""


class Rejected(ResilienceError):
    """The call was refused before anything was tried.

    Attributes:
        policy: name of the part that refused.
        retry_after: seconds until a new call may be let in, 0.0 where that is unknown.
    """

    def __init__(self, policy: str, *, retry_after: float = 0.0) -> None:
        super().__init__(policy)
        self.policy = policy
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{type(self).__name__} for {self.policy}"


class CircuitOpen(Rejected):
    """The circuit is open, or half-open with every probe permit taken."""

    def __str__(self) -> str:
        # An isolated circuit is never probed, and the probes that one waits for end when they end.
        probe = f" (next probe in {self.retry_after:.1f} s)" if self.retry_after > 0 else ""
        return f"Circuit breaker OPEN for {self.policy}{probe}"


class BulkheadFull(Rejected):
    """All slots and all places in the queue were taken."""


class RateLimited(Rejected):
    """The rate limit's bucket was empty."""


class TooManyListeners(Rejected):
    """The events of one job have as many listeners as they may have.

    Attributes:
        most: how many that is.
    """

    def __init__(self, policy: str, *, most: int, retry_after: float = 0.0) -> None:
        super().__init__(policy, retry_after=retry_after)
        self.most = most

    def __str__(self) -> str:
        return f"{self.most} clients listen to {self.policy} already; share one stream, or ask where the job stands."


class Shed(Rejected):
    """Load was shed, the least critical first."""


class Draining(Rejected):
    """The process is shutting down and takes no new work."""

    def __str__(self) -> str:
        return f"Shutting down: {self.policy} takes no more work; send the request again in a moment."


class AttemptTimeout(ResilienceError, TimeoutError):
    """One attempt ran longer than its own limit.

    Attributes:
        seconds: the limit that was in force, in seconds.
        policy: name of the part that ended it.
        before_call: True where a queue of this process took the time, so that it says nothing about the callee.
    """

    def __init__(self, seconds: float, *, policy: str = "", before_call: bool = False) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.policy = policy
        self.before_call = before_call

    def __str__(self) -> str:
        where = f" in {self.policy}" if self.policy else ""
        return f"attempt timed out after {self.seconds:g} s{where}"


class DeadlineExceeded(ResilienceError, TimeoutError):
    """The deadline of the whole call has passed.

    Attributes:
        seconds: the time that the call was given, in seconds, where it is known.
        before_call: True where it had passed before anything was called, or a queue of this process took the time, so
            that it says nothing about the callee.
    """

    def __init__(self, seconds: float | None = None, *, before_call: bool = False) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.before_call = before_call

    def __str__(self) -> str:
        return "deadline exceeded" if self.seconds is None else f"deadline of {self.seconds:g} s exceeded"


class InputError(CqoxError):
    """The client can correct this.

    Attributes:
        detail: what is wrong and what to change, a full sentence.
        field: where in the request, as a dotted path; empty where it is the whole.
        choices: the valid values, nearest first, where there is such a list.
    """

    def __init__(self, detail: str, *, field: str = "", choices: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.choices = tuple(choices)

    def __str__(self) -> str:
        # Not the arguments: copying and pickling call the class with these, and some make their sentence from them.
        return self.detail


class InvalidRequest(InputError):
    """The request does not fit its schema, or names something that does not exist."""


class UnusableData(InputError):
    """The data are readable but cannot answer the question, such as a constant treatment."""


class UnreadableFile(InputError):
    """No format or encoding that was tried makes a table of these bytes."""


class BodyCorrupted(InputError):
    """The body that arrived is not the one that its Content-Digest is of."""


class LimitExceeded(InputError):
    """More bytes, rows, columns or levels than the settings allow."""


class NotFound(InputError):
    """No data set, analysis, figure or job has this id."""


class KeyReused(InputError):
    """An idempotency key came again, with another body than before."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The Idempotency-Key '{key[:100]}' was sent before with another body. A key stands for one request: send "
            "the same body again, or a new key.",
            field="Idempotency-Key",
        )
        self.args = (key,)


class RunsElsewhere(InputError):
    """Another engine runs the job, and only that one can tell its events or end it."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"The job '{job_id[:100]}' runs on another engine, and only that one can tell its events or end it. Ask a "
            "gateway that reaches all engines."
        )
        self.args = (job_id,)


class ServiceError(CqoxError):
    """The client did nothing wrong; trying again may help."""


class WorkerLost(ServiceError):
    """The process that computed this died, so that its reply will never come."""


class WorkersUnavailable(ServiceError):
    """No worker process starts, so that nothing was computed: it says nothing about the task."""


class StoreUnavailable(ServiceError):
    """A store could not be reached, so that nothing was read or written."""


class StorageFull(StoreUnavailable):
    """A store has no room for what was to be written; waiting does not help, deleting does."""


class EngineUnavailable(ServiceError):
    """The engine cannot be reached, failed, or was lost before its answer was whole."""
