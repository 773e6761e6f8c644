"""What goes around every call of a store: a circuit, and a limit in time; around the connection, another attempt."""

from cqox.errors import AttemptTimeout
from cqox.resilience import CircuitBreaker, Policy, Retry, database_timeout, is_database_error

__all__ = ["RECOVERY_SECONDS", "store_policy"]

_FAILURES_IN_A_ROW = 5
RECOVERY_SECONDS = 5.0


def store_policy(
    name: str, *, seconds: float = 10.0, attempts: int = 1, recovery_seconds: float = RECOVERY_SECONDS
) -> Policy:
    """The policy of one store.

    Only what time may cure opens the circuit: a full disk or a database that takes no writes must not end the reads.

    Args:
        name: what rejections and the admin routes call it.
        seconds: the limit of a call, all its attempts together.
        attempts: how often a call may be made; every method of a store may be repeated.
        recovery_seconds: how long an open circuit leaves the store alone.
    """
    circuit = CircuitBreaker(name, _FAILURES_IN_A_ROW, recovery_seconds, failures=_says_that_it_is_away)
    limit = database_timeout(seconds)
    if attempts == 1:
        return Policy(name, circuit, limit)
    retry = Retry(attempts, 0.1, 1.0, exceptions=is_database_error, idempotent=True, name=name)
    return Policy(name, circuit, limit, retry)


def _says_that_it_is_away(error: Exception) -> bool:
    return isinstance(error, AttemptTimeout) or is_database_error(error)
