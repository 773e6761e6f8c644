"""Resilience policies around the requests of one client to its server.

Outermost first:

    deadline     of the whole call, sent along as X-Request-Timeout-Ms
    circuit      one for the server; it counts calls that the server did not answer
    retry        every request may be repeated: reads and deletions by their method, an analysis by its idempotency
                 key, an upload because equal bytes are one data set
    attempt      a bound on one answer; an upload is bounded by its pauses, a document by the deadline alone
"""

from cqox.client.failures import is_outage, is_retryable
from cqox.resilience import CircuitBreaker, Policy, Retry, RetryBudget, Timeout

__all__ = ["ATTEMPT_SECONDS", "ServerPolicies"]

ATTEMPT_SECONDS = 35.0
"""Bound on one answer, in seconds: above the deadline that a gateway grants to reads, so that its reason arrives."""

_FAILURES = 5
_RECOVERY_SECONDS = 5.0


class ServerPolicies:
    """The policies of one server, listed in the registry under its address.

    Attributes:
        circuit: the circuit that all of them share.
        call: for a request with a short answer.
        once: the same without retries, for a caller that has its own.
        long: for a file or a document, which may take long.
    """

    def __init__(self, url: str) -> None:
        circuit = CircuitBreaker(
            url,
            failure_threshold=_FAILURES,
            recovery_timeout=_RECOVERY_SECONDS,
            probe_timeout=ATTEMPT_SECONDS + 1.0,
            failures=is_outage,
            key=f"{url} circuit",
        )
        retry = Retry(
            4,
            0.25,
            4.0,
            exceptions=is_retryable,
            budget=RetryBudget(name=f"{url} retry budget"),
            idempotent=True,
            max_retry_after=30.0,
            name=url,
        )
        attempt = Timeout(ATTEMPT_SECONDS, name=url)
        self.circuit = circuit
        self.call = Policy(url, circuit, retry, attempt)
        self.once = Policy(f"{url} once", circuit, attempt)
        self.long = Policy(f"{url} long", circuit, retry)
