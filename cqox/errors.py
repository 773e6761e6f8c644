"""The exception hierarchy of CQOx.

    CqoxError
    ├── ResilienceError                  a policy ended the call; says nothing about the callee
    │   ├── Rejected                     the callee was not called; has .policy and .retry_after
    │   │   ├── CircuitOpen
    │   │   ├── BulkheadFull
    │   │   ├── RateLimited
    │   │   │   └── QuotaExceeded        the tenant has used up what it may use in a period
    │   │   ├── TooManyListeners
    │   │   ├── Shed
    │   │   └── Draining
    │   ├── AttemptTimeout               also a TimeoutError: one attempt exceeded its timeout
    │   └── DeadlineExceeded             also a TimeoutError: the whole call exceeded its deadline
    ├── InputError                       the client can correct it; see .detail and .choices
    │   ├── InvalidRequest               the request does not match its schema, or names something missing
    │   ├── UnusableData                 the data cannot answer the question asked
    │   ├── UnreadableFile               no supported format or encoding yields a table
    │   ├── SourceUnavailable            data that lie elsewhere cannot be fetched
    │   ├── BodyCorrupted                the body does not match its Content-Digest
    │   ├── LimitExceeded                more bytes, rows, columns or levels than the settings allow
    │   ├── NotFound                     no data set, analysis, figure or job with this id
    │   ├── KeyReused                    an idempotency key was reused with another body
    │   ├── NotAllowed                   the operator has not switched this on
    │   ├── NotAuthenticated             nothing says, or nothing valid says, who the request comes from
    │   ├── PermissionMissing            the principal may not do this
    │   ├── PreconditionFailed           what the client has read was changed meanwhile
    │   ├── RunsElsewhere                another engine runs that job
    │   └── UploadConflict               an upload in pieces is at another offset, or bytes of it are missing
    └── ServiceError                     a failure of the service, not of the client
        ├── WorkerLost                   the worker process died before it replied
        ├── WorkersUnavailable           no worker process starts; nothing was computed
        ├── StoreUnavailable             a store could not be reached; nothing was read or written
        │   ├── StorageFull              a store is full; data must be deleted first
        │   └── ObjectStoreUnfit         an object store ignores conditions, or keeps what is deleted
        ├── EngineUnavailable            the gateway cannot reach its engine, or lost it before a full response
        ├── IdentityProviderUnavailable  the keys of the identity provider cannot be fetched
        ├── SourceDown                   a source whose tables stay where they are fails
        ├── ServerUnreachable            a client cannot reach the server, or lost it before a full response
        ├── AnswerNotUnderstood          what answers a client is no CQOx server, or one of another version
        └── JobInterrupted               a job ended with its engine, or was cancelled

The resilience errors are defined here so that any layer can name them, and re-exported by `cqox.resilience`. HTTP
status codes are defined in `services.http`.
"""

from collections.abc import Sequence

__all__ = [
    "AnswerNotUnderstood",
    "AttemptTimeout",
    "BodyCorrupted",
    "BulkheadFull",
    "CircuitOpen",
    "CqoxError",
    "DeadlineExceeded",
    "Draining",
    "EngineUnavailable",
    "IdentityProviderUnavailable",
    "InputError",
    "InvalidRequest",
    "JobInterrupted",
    "KeyReused",
    "LimitExceeded",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "ObjectStoreUnfit",
    "PermissionMissing",
    "PreconditionFailed",
    "QuotaExceeded",
    "RateLimited",
    "Rejected",
    "ResilienceError",
    "RunsElsewhere",
    "ServerUnreachable",
    "ServiceError",
    "Shed",
    "SourceDown",
    "SourceUnavailable",
    "StorageFull",
    "StoreUnavailable",
    "TooManyListeners",
    "UnreadableFile",
    "UnusableData",
    "UploadConflict",
    "WorkerLost",
    "WorkersUnavailable",
]


class CqoxError(Exception):
    """Base class of all errors that CQOx raises deliberately.

    Attributes:
        request_id: of the request that a server answered with this error, in the server's log; empty without one.
        trace_id: of its trace; empty where there is none.
    """

    request_id: str = ""
    trace_id: str = ""


class ResilienceError(CqoxError):
    """Base class for calls ended by a policy; exceptions of the callee are never wrapped in it."""


class Rejected(ResilienceError):
    """The call was rejected before the callee was called.

    Attributes:
        policy: name of the part that rejected it.
        retry_after: seconds until a new call may be admitted, 0.0 where that is unknown.
    """

    def __init__(self, policy: str, *, retry_after: float = 0.0) -> None:
        # Rejections come in great numbers, and this is cheaper than the constructor of exceptions. Pickles need it.
        self.args = (policy,)
        self.policy = policy
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{type(self).__name__} for {self.policy}"


class CircuitOpen(Rejected):
    """The circuit is open, or half-open with every probe permit taken."""

    def __str__(self) -> str:
        # The time is unknown for an isolated circuit, and while all probe permits are taken.
        probe = f" (next probe in {self.retry_after:.1f} s)" if self.retry_after > 0 else ""
        return f"Circuit breaker OPEN for {self.policy}{probe}"


class BulkheadFull(Rejected):
    """All slots were taken and the queue was full."""


class RateLimited(Rejected):
    """The rate limit was exceeded."""


class QuotaExceeded(RateLimited):
    """The tenant has used up what it may use in a period.

    Attributes:
        detail: what was used up, and what to do.
    """

    def __init__(self, policy: str, *, detail: str, retry_after: float = 0.0) -> None:
        super().__init__(policy, retry_after=retry_after)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class TooManyListeners(Rejected):
    """The event stream of one job has reached its limit of listeners.

    Attributes:
        most: the limit.
    """

    def __init__(self, policy: str, *, most: int, retry_after: float = 0.0) -> None:
        super().__init__(policy, retry_after=retry_after)
        self.most = most

    def __str__(self) -> str:
        limit = "1 listener" if self.most == 1 else f"{self.most} listeners"
        return f"The limit of {limit} is reached for {self.policy}. Share one stream, or query the state of the job."


class Shed(Rejected):
    """The call was shed because the load was too high for its criticality."""


class Draining(Rejected):
    """The process is shutting down and takes no new work."""

    def __str__(self) -> str:
        return f"Shutting down: '{self.policy}' accepts no new work. Send the request again in a moment."


class AttemptTimeout(ResilienceError, TimeoutError):
    """One attempt exceeded its timeout.

    Attributes:
        seconds: the timeout that was in force, in seconds.
        policy: name of the part that ended it.
        before_call: True where the time was spent in a queue of this process, so that it says nothing about the callee.
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
        seconds: the time limit of the call, in seconds, where it is known.
        before_call: True where it passed before the callee was called, or the time was spent in a queue of this
            process, so that it says nothing about the callee.
    """

    def __init__(self, seconds: float | None = None, *, before_call: bool = False) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.before_call = before_call

    def __str__(self) -> str:
        return "deadline exceeded" if self.seconds is None else f"deadline of {self.seconds:g} s exceeded"


class InputError(CqoxError):
    """Base class of errors that the client can correct.

    Attributes:
        detail: the problem and its correction, as a full sentence.
        field: location in the request, as a dotted path; empty for the whole request.
        choices: the valid values, nearest first, where they can be listed.
    """

    def __init__(self, detail: str, *, field: str = "", choices: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.choices = tuple(choices)

    def __str__(self) -> str:
        # Not `args`: copying and pickling call the class with these, and some classes build the sentence from them.
        return self.detail


class InvalidRequest(InputError):
    """The request does not match its schema, or refers to something that does not exist."""


class UnusableData(InputError):
    """The data are readable but unusable for the analysis, such as a constant treatment."""


class UnreadableFile(InputError):
    """No supported format or encoding yields a table from these bytes."""


class SourceUnavailable(InputError):
    """Data that lie elsewhere (at a URL, in an object store or a database) cannot be fetched.

    Attributes:
        retry_after: seconds that the server asks to wait, 0.0 where it asks for none.
    """

    def __init__(self, detail: str, *, field: str = "", choices: Sequence[str] = (), retry_after: float = 0.0) -> None:
        super().__init__(detail, field=field, choices=choices)
        self.retry_after = retry_after


class BodyCorrupted(InputError):
    """The received body does not match its Content-Digest."""


class LimitExceeded(InputError):
    """The input has more bytes, rows, columns or levels than the settings allow."""


class NotFound(InputError):
    """No data set, analysis, figure or job has this id."""


class KeyReused(InputError):
    """An idempotency key was reused with another body."""


class NotAllowed(InputError):
    """The operator of the installation has not switched on what the request asks for."""


class NotAuthenticated(InputError):
    """The request carries nothing, or nothing valid, that says who it comes from.

    Attributes:
        reason: the error code of RFC 6750, section 3.1; empty where the request carries no credentials.
    """

    def __init__(
        self, detail: str, *, field: str = "Authorization", choices: Sequence[str] = (), reason: str = ""
    ) -> None:
        super().__init__(detail, field=field, choices=choices)
        self.reason = reason


class PermissionMissing(InputError):
    """The principal may know of what it asks for, and may not do it.

    Attributes:
        permission: what it lacks, such as `datasets:delete`.
    """

    def __init__(self, detail: str, *, field: str = "", choices: Sequence[str] = (), permission: str = "") -> None:
        super().__init__(detail, field=field, choices=choices)
        self.permission = permission


class PreconditionFailed(InputError):
    """The version that the client names in `If-Match` is no longer the current one; nothing was changed."""


class RunsElsewhere(InputError):
    """Another engine runs the job; only that engine can stream its events or cancel it."""


class UploadConflict(InputError):
    """A piece does not continue its upload, another request is writing to it, or bytes are missing.

    Attributes:
        offset: bytes of the upload that are acknowledged, where the next piece begins.
    """

    def __init__(self, detail: str, *, offset: int = 0, field: str = "", choices: Sequence[str] = ()) -> None:
        super().__init__(detail, field=field, choices=choices)
        self.offset = offset


class ServiceError(CqoxError):
    """Base class of failures of the service, which a retry may resolve."""


class WorkerLost(ServiceError):
    """The worker process died before it replied."""


class WorkersUnavailable(ServiceError):
    """No worker process starts; nothing was computed, so that the error says nothing about the task."""


class StoreUnavailable(ServiceError):
    """A store could not be reached; nothing was read or written."""


class StorageFull(StoreUnavailable):
    """A store is full; data must be deleted before a write can succeed."""


class ObjectStoreUnfit(StoreUnavailable):
    """An object store lacks what the files of tenants need; no attempt will succeed."""


class EngineUnavailable(ServiceError):
    """The engine cannot be reached, failed, or was lost before its response was complete."""


class IdentityProviderUnavailable(ServiceError):
    """The keys of the identity provider cannot be fetched, so that no token can be verified."""


class SourceDown(ServiceError):
    """A source whose tables stay where they are cannot be reached, fails, or is rested after failures.

    Attributes:
        detail: which source, and what happened; no address, and no text of a server.
        retry_after: seconds until it is asked again, 0.0 where that is unknown.
    """

    def __init__(self, detail: str, *, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class ServerUnreachable(ServiceError):
    """The server of a client cannot be reached, or was lost before its response was complete."""


class AnswerNotUnderstood(ServiceError):
    """The answer to a client is not of a CQOx server, or of a version that the client does not know."""


class JobInterrupted(ServiceError):
    """A job has ended without a report and without a failure: it was cancelled, or its engine ended."""
