"""Resilience policies of store calls: circuit breaker and timeout, and retries where they are requested."""

from cqox.errors import AttemptTimeout
from cqox.resilience import CircuitBreaker, Policy, Retry, database_timeout, is_database_error

__all__ = ["RECOVERY_SECONDS", "store_circuit", "store_policy"]

_FAILURES_IN_A_ROW = 5
RECOVERY_SECONDS = 5.0


def store_circuit(name: str, *, recovery_seconds: float = RECOVERY_SECONDS) -> CircuitBreaker:
    """Return the circuit breaker of one store.

    Only outages that may recover open it: a full disk or a read-only database must not stop reads.

    Args:
        name: name of the circuit in rejections and, with the suffix `breaker`, in the admin routes, where the policy
            has the bare name.
        recovery_seconds: how long the circuit stays open before a probe.
    """
    return CircuitBreaker(name, _FAILURES_IN_A_ROW, recovery_seconds, failures=_is_outage, key=f"{name} breaker")


def store_policy(circuit: CircuitBreaker, *, name: str = "", seconds: float = 10.0, attempts: int = 1) -> Policy:
    """Return the policy of the calls of one store.

    Args:
        circuit: circuit breaker of the store.
        name: name in the admin routes; that of the circuit if empty.
        seconds: timeout of a call, all attempts included.
        attempts: maximum attempts per call; every method of a store is idempotent.
    """
    name, limit = name or circuit.name, database_timeout(seconds)
    if attempts == 1:
        return Policy(name, circuit, limit)
    retry = Retry(attempts, 0.1, 1.0, exceptions=is_database_error, idempotent=True, name=circuit.name)
    return Policy(name, circuit, limit, retry)


def _is_outage(error: Exception) -> bool:
    return isinstance(error, AttemptTimeout) or is_database_error(error)
