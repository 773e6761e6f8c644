"""Settings of a retry, validated on construction, with the exceptions that they cover."""

from dataclasses import dataclass
from typing import TypedDict, cast

from cqox.errors import DeadlineExceeded, Rejected
from cqox.resilience.pipeline.results import UnwantedResult
from cqox.resilience.retry.backoff import Jitter, plain_delay
from cqox.resilience.runtime.ranges import (
    Covered,
    Listed,
    Seconds,
    check_count,
    check_exceptions,
    check_flag,
    check_seconds,
)

__all__ = ["Exceptions", "RetryChanges", "RetrySettings"]

type Exceptions = Listed[BaseException]
"""Exceptions to retry: a class, a collection of classes, or a predicate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """Settings of a retry; see `Retry`, which takes the same arguments.

    Durations are in seconds and exception classes a tuple, in whichever form they were given.

    Raises:
        ValueError: a setting is out of its range.
    """

    max_attempts: int = 3
    base_delay: float = 1.0
    max_delay: float = 60.0
    jitter: Jitter = True
    exceptions: Covered[BaseException] = (Exception,)
    idempotent: bool = False
    max_retry_after: float | None = None

    def __post_init__(self) -> None:
        check_count("max_attempts", self.max_attempts)
        object.__setattr__(self, "base_delay", check_seconds("base_delay", self.base_delay))
        object.__setattr__(self, "max_delay", check_seconds("max_delay", self.max_delay))
        if not isinstance(self.jitter, bool) and self.jitter not in ("full", "decorrelated"):
            raise ValueError(f'jitter must be True, False, "full" or "decorrelated", not {self.jitter!r}')
        object.__setattr__(self, "exceptions", check_exceptions("exceptions", self.exceptions))
        check_flag("idempotent", self.idempotent)
        if self.max_retry_after is not None:
            object.__setattr__(self, "max_retry_after", check_seconds("max_retry_after", self.max_retry_after))

    @property
    def longest_retry_after(self) -> float:
        """The longest `Retry-After` to honour, in seconds."""
        return self.max_delay if self.max_retry_after is None else self.max_retry_after

    @property
    def delay_range(self) -> tuple[float, float]:
        """The first and the last delay that its attempts can come to, in seconds and before jitter."""
        first = min(self.base_delay, self.max_delay)
        if self.jitter == "decorrelated":
            return first, self.max_delay
        return first, plain_delay(max(self.max_attempts - 2, 0), self.base_delay, self.max_delay)

    def covers(self, error: BaseException) -> bool:
        """Return whether `error` is covered: a group if every leaf is, a rejection only if its class is listed."""
        if isinstance(error, UnwantedResult):
            return True
        if isinstance(error, BaseExceptionGroup):
            return all(map(self.covers, cast("BaseExceptionGroup[BaseException]", error).exceptions))
        if not isinstance(error, Exception) or (isinstance(error, DeadlineExceeded) and error.before_call):
            return False
        listed = self.exceptions
        if callable(listed):
            return listed(error)
        if isinstance(error, Rejected):
            return any(issubclass(kind, Rejected) and isinstance(error, kind) for kind in listed)
        return isinstance(error, listed)


class RetryChanges(TypedDict, total=False):
    """Settings that can be changed at run time."""

    max_attempts: int
    base_delay: Seconds
    max_delay: Seconds
    jitter: Jitter
    exceptions: Exceptions
    idempotent: bool
    max_retry_after: Seconds | None
