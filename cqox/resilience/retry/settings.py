"""Settings of a retry, validated on construction, with the exceptions that they cover."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict, cast

from cqox.errors import DeadlineExceeded, Rejected
from cqox.resilience.retry.backoff import Jitter
from cqox.resilience.runtime.ranges import check_count, check_exceptions, check_flag, check_seconds

__all__ = ["Exceptions", "RetryChanges", "RetrySettings"]

type Exceptions = tuple[type[BaseException], ...] | Callable[[Exception], bool]
"""Exceptions to retry: classes, or a predicate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """Settings of a retry; see `Retry`, which takes the same arguments.

    Raises:
        ValueError: a setting is out of its range.
    """

    max_attempts: int = 3
    base_delay: float = 1.0
    max_delay: float = 60.0
    jitter: Jitter = True
    exceptions: Exceptions = (Exception,)
    idempotent: bool = False
    max_retry_after: float | None = None

    def __post_init__(self) -> None:
        check_count("max_attempts", self.max_attempts)
        check_seconds("base_delay", self.base_delay)
        check_seconds("max_delay", self.max_delay)
        if not isinstance(self.jitter, bool) and self.jitter not in ("full", "decorrelated"):
            raise ValueError(f'jitter must be True, False, "full" or "decorrelated", not {self.jitter!r}')
        check_exceptions("exceptions", self.exceptions)
        check_flag("idempotent", self.idempotent)
        if self.max_retry_after is not None:
            check_seconds("max_retry_after", self.max_retry_after)

    @property
    def longest_retry_after(self) -> float:
        """The longest `Retry-After` to honour, in seconds."""
        return self.max_delay if self.max_retry_after is None else self.max_retry_after

    def covers(self, error: BaseException) -> bool:
        """Return whether `error` is covered: a group if every leaf is, a rejection only if its class is listed."""
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
    base_delay: float
    max_delay: float
    jitter: Jitter
    exceptions: Exceptions
    idempotent: bool
    max_retry_after: float | None
