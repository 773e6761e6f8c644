"""What goes around every call of a store: a circuit, and a limit in time; around the connection, another attempt."""

from cqox.errors import AttemptTimeout
from cqox.resilience import CircuitBreaker, Policy, Retry, database_timeout, is_database_error

__all__ = ["RECOVERY_SECONDS", "store_circuit", "store_policy"]

_FAILURES_IN_A_ROW = 5
RECOVERY_SECONDS = 5.0


def store_circuit(name: str, *, recovery_seconds: float = RECOVERY_SECONDS) -> CircuitBreaker:
    """The circuit of one store.

    Only what time may cure opens it: a full disk or a database that takes no writes must not end the reads.

    Args:
        name: what rejections call it, and with `breaker` behind it the admin routes, where the name is the policy's.
        recovery_seconds: how long it leaves the store alone once it is open.
    """
    return CircuitBreaker(
        name, _FAILURES_IN_A_ROW, recovery_seconds, failures=_says_that_it_is_away, key=f"{name} breaker"
    )


def store_policy(circuit: CircuitBreaker, *, name: str = "", seconds: float = 10.0, attempts: int = 1) -> Policy:
    """The policy of the calls of one store.

    Args:
        circuit: of the store.
        name: what the admin routes call it; that of the circuit if empty.
        seconds: the limit of a call, all its attempts together.
        attempts: how often a call may be made; every method of a store may be repeated.
    """
    name, limit = name or circuit.name, database_timeout(seconds)
    if attempts == 1:
        return Policy(name, circuit, limit)
    retry = Retry(attempts, 0.1, 1.0, exceptions=is_database_error, idempotent=True, name=circuit.name)
    return Policy(name, circuit, limit, retry)


def _says_that_it_is_away(error: Exception) -> bool:
    return isinstance(error, AttemptTimeout) or is_database_error(error)
