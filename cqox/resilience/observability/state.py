"""Values of the metrics that are read from the state of registered parts, and the labels of counters known before.

Parts of one name are added up, and so are those of the keys of a policy, with what forgotten keys have counted. A part
that is registered by itself and belongs to several policies counts once.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from cqox.resilience.circuit import CircuitBreaker, CircuitState
from cqox.resilience.circuit.statistics import Outcome
from cqox.resilience.composition.policy import Policy
from cqox.resilience.deadlines.timeout import Timeout
from cqox.resilience.limits.adaptive import AdaptiveLimit
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.limits.drain import Drain
from cqox.resilience.limits.load_shedding import Shed
from cqox.resilience.limits.rate_limit import RateLimit
from cqox.resilience.observability import metrics
from cqox.resilience.observability.events import TRANSITIONS, Labels
from cqox.resilience.observability.metrics import Metric
from cqox.resilience.pipeline.key_twins import family
from cqox.resilience.pipeline.part import Gate, Part
from cqox.resilience.pipeline.registry import Registry
from cqox.resilience.pipeline.tally import Tallied
from cqox.resilience.retry.budget import RetryBudget
from cqox.resilience.retry.retry import Retry

__all__ = ["Reading", "births", "read"]

type Reading = tuple[float, Labels]
"""A value and its labels."""


def read(metric: Metric, policies: Registry) -> list[Reading]:
    """Return the values of a metric; none where it counts events, except `cqox.rejections`.

    Rejections are those that the parts have counted themselves: a drain counts none.
    """
    find = _READINGS.get(metric.name)
    return [] if find is None else _added_up(metric, find(policies))


def births(metric: Metric, policies: Registry) -> list[Labels]:
    """Return the labels with which a counter of events is shown at 0 before its first event."""
    find = _BIRTHS.get(metric.name)
    if find is None:
        return []
    return [dict(zip(metric.labels, values, strict=True)) for values in dict.fromkeys(find(policies))]


type _Values = Iterable[tuple[float, tuple[str, ...]]]


def _added_up(metric: Metric, values: _Values) -> list[Reading]:
    sums = defaultdict[tuple[str, ...], float](float)
    for value, labels in values:
        sums[labels] += value
    return [(value, dict(zip(metric.labels, labels, strict=True))) for labels, value in sums.items()]


def _entries(policies: Registry) -> Iterator[object]:
    for key in policies:
        with suppress(KeyError):
            # It may have ended since the keys were listed.
            yield policies[key]


def _policies(policies: Registry) -> Iterator[Policy]:
    return (entry for entry in _entries(policies) if isinstance(entry, Policy))


def _parts[Kind: Part](policies: Registry, kind: type[Kind]) -> Iterator[Kind]:
    return (part for part in _all_parts(policies) if isinstance(part, kind))


def _gates(policies: Registry) -> Iterator[Gate]:
    return (part for part in _all_parts(policies) if isinstance(part, Gate))


def _all_parts(policies: Registry) -> Iterator[Part]:
    found: dict[int, Part] = {}
    for entry in _entries(policies):
        for part in entry.parts if isinstance(entry, Policy) else (entry,):
            if isinstance(part, Part):
                found[id(part)] = part
    return iter(found.values())


def _of_all_keys[T: Tallied](owners: Iterable[T]) -> Iterator[T]:
    for owner in owners:
        yield from family(owner)[0]


def _counts(owner: Tallied) -> Mapping[str, int]:
    """Return the calls by outcome, of all keys that there are and were."""
    members, ended = family(owner)
    counts = Counter[str](ended)
    for member in members:
        tally = member.tally()
        counts.update({} if tally is None else tally.counts())
    return counts


def _budgets(policies: Registry) -> Iterator[RetryBudget]:
    found = {id(retry.budget): retry.budget for retry in _parts(policies, Retry) if retry.budget is not None}
    return iter(found.values())


def _circuit_states(policies: Registry) -> _Values:
    for breaker in _of_all_keys(_parts(policies, CircuitBreaker)):
        now = breaker.snapshot().state
        for state in CircuitState:
            yield float(state is now), (breaker.name, state.value)


def _circuit_calls(policies: Registry) -> _Values:
    for breaker in _parts(policies, CircuitBreaker):
        calls = _counts(breaker)
        for outcome in Outcome:
            yield calls[outcome.value], (breaker.name, outcome.value)


def _available(policies: Registry) -> _Values:
    for budget in _of_all_keys(_budgets(policies)):
        snapshot = budget.snapshot()
        yield snapshot.available, (snapshot.name,)


def _budget_requests(policies: Registry) -> _Values:
    for budget in _budgets(policies):
        for outcome, count in _counts(budget).items():
            yield count, (budget.name, outcome)


def _admissions(policies: Registry) -> Iterator[tuple[Gate, Mapping[str, int]]]:
    """Yield each gate that admits calls to a limit, with its calls by outcome."""
    for limit in _gates(policies):
        if isinstance(limit, Bulkhead | AdaptiveLimit | RateLimit):
            yield limit, _counts(limit)
        elif isinstance(limit, Shed):
            shed = limit.snapshot()
            yield limit, {"admitted": shed.admitted, "rejected": sum(shed.rejected.values())}


def _limit_calls(policies: Registry) -> _Values:
    for limit, calls in _admissions(policies):
        for outcome, count in calls.items():
            yield count, (limit.name, outcome)


def _rejections(policies: Registry) -> _Values:
    for breaker in _parts(policies, CircuitBreaker):
        yield _counts(breaker)["rejected"], (breaker.name, breaker.kind)
    for limit, calls in _admissions(policies):
        yield calls["rejected"], (limit.name, limit.kind)


def _running(policies: Registry) -> _Values:
    for limit in _of_all_keys(_gates(policies)):
        if isinstance(limit, Bulkhead | AdaptiveLimit):
            yield limit.snapshot().running, (limit.name,)


def _queued(policies: Registry) -> _Values:
    for limit in _of_all_keys(_gates(policies)):
        if isinstance(limit, Bulkhead | AdaptiveLimit):
            yield limit.snapshot().queued, (limit.name,)


def _limits(policies: Registry) -> _Values:
    for limit in _of_all_keys(_gates(policies)):
        if isinstance(limit, Bulkhead):
            yield limit.snapshot().max_concurrent, (limit.name,)
        elif isinstance(limit, AdaptiveLimit):
            yield limit.snapshot().limit, (limit.name,)


def _rates(policies: Registry) -> _Values:
    return ((limit.snapshot().available, (limit.name,)) for limit in _of_all_keys(_parts(policies, RateLimit)))


def _loads(policies: Registry) -> _Values:
    return ((shed.snapshot().load, (shed.name,)) for shed in _parts(policies, Shed))


def _draining(policies: Registry) -> _Values:
    return ((len(drain.in_flight), (drain.name,)) for drain in _parts(policies, Drain))


type _Found = Iterable[tuple[str, ...]]


def _transitions(policies: Registry) -> _Found:
    for breaker in _parts(policies, CircuitBreaker):
        yield from ((breaker.name, state) for state in TRANSITIONS.values())


def _retrying(policies: Registry) -> _Found:
    for policy in _policies(policies):
        if any(isinstance(part, Retry) for part in policy.parts):
            yield (policy.name,)


def _timing(policies: Registry) -> _Found:
    return ((timeout.name,) for timeout in _parts(policies, Timeout))


def _rejecting(policies: Registry) -> _Found:
    return ((gate.name, gate.kind) for gate in _gates(policies))


_READINGS: Mapping[str, Callable[[Registry], _Values]] = {
    metrics.CIRCUIT_STATE.name: _circuit_states,
    metrics.CIRCUIT_CALLS.name: _circuit_calls,
    metrics.RETRY_BUDGET.name: _available,
    metrics.RETRY_BUDGET_REQUESTS.name: _budget_requests,
    metrics.REJECTIONS.name: _rejections,
    metrics.LIMIT_CALLS.name: _limit_calls,
    metrics.BULKHEAD_RUNNING.name: _running,
    metrics.BULKHEAD_QUEUED.name: _queued,
    metrics.BULKHEAD_LIMIT.name: _limits,
    metrics.RATE_LIMIT_AVAILABLE.name: _rates,
    metrics.SHED_LOAD.name: _loads,
    metrics.DRAIN_RUNNING.name: _draining,
}

_BIRTHS: Mapping[str, Callable[[Registry], _Found]] = {
    metrics.CIRCUIT_TRANSITIONS.name: _transitions,
    metrics.RETRIES.name: _retrying,
    metrics.GIVEN_UP.name: _retrying,
    metrics.TIMEOUTS.name: _timing,
    metrics.REJECTIONS.name: _rejecting,
}
