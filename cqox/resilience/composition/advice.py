"""Warnings about questionable orders of parts. All of these orders are valid."""

import itertools
from collections.abc import Iterator, Sequence

from cqox.resilience.circuit import CircuitBreaker
from cqox.resilience.pipeline.part import Limit, Part
from cqox.resilience.retry.retry import Retry

__all__ = ["order_warnings"]

_SLOTS = frozenset({"Bulkhead", "AdaptiveLimit"})
_ADMISSION_CONTROLS = frozenset({"Shed", "Drain"})


def order_warnings(parts: Sequence[Part]) -> Iterator[str]:
    """Yield one warning per questionable choice; `parts` are ordered outermost first."""
    retries = [at for at, part in enumerate(parts) if isinstance(part, Retry)]
    limits = [at for at, part in enumerate(parts) if isinstance(part, Limit)]
    if len(retries) > 1:
        attempts = " x ".join(str(part.settings.max_attempts) for part in parts if isinstance(part, Retry))
        yield f"two retries multiply: one call may make {attempts} attempts"
    for at in retries:
        yield from _retry_warnings(parts, at, limits)
    if not limits:
        yield "no timeout bounds an attempt: only the caller's deadline ends a callee that hangs"
    for at, part in enumerate(parts):
        if part.kind in _SLOTS and any(limit < at for limit in limits):
            yield f"the timeout outside of the {part.kind} counts the time in its queue"
        if part.kind in _SLOTS and any(isinstance(outer, CircuitBreaker) for outer in parts[:at]):
            yield f"the {part.kind} inside of the circuit breaker makes probes wait in its queue"
        if part.kind == "Fallback" and any(isinstance(outer, Retry | CircuitBreaker) for outer in parts[:at]):
            yield "the parts outside of the Fallback never see a failure"
    yield from _timeout_warnings(parts)


def _retry_warnings(parts: Sequence[Part], at: int, limits: Sequence[int]) -> Iterator[str]:
    retry = parts[at]
    assert isinstance(retry, Retry)
    settings = retry.settings
    if settings.max_attempts > 1 and not settings.idempotent:
        yield "the retry is not idempotent: only requests that were never sent are repeated"
    if any(limit < at for limit in limits) and not any(limit > at for limit in limits):
        yield "the only timeout is outside of the retry: one attempt that hangs leaves no time for another"
    for inner in parts[at + 1 :]:
        if inner.kind in _SLOTS | _ADMISSION_CONTROLS:
            yield f"the {inner.kind} is inside of the retry: each attempt must be admitted again"
        if isinstance(inner, CircuitBreaker):
            threshold = inner.settings.failure_threshold
            if inner.settings.failure_rate is None and threshold <= settings.max_attempts:
                yield (
                    f"the circuit breaker inside of the retry counts attempts: one call of {settings.max_attempts} "
                    f"reaches its threshold of {threshold}"
                )


def _timeout_warnings(parts: Sequence[Part]) -> Iterator[str]:
    bounds = [part.seconds for part in parts if isinstance(part, Limit)]
    for outer, inner in itertools.pairwise(bounds):
        if inner >= outer:
            yield f"the inner timeout of {inner:g} s never expires: the outer one of {outer:g} s expires first"
