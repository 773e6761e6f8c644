"""Answers of queries from the samples of processes, with the semantics of Prometheus.

A query is made of terms that can be put together over processes: each process sums its own series (`read_terms`), the
results are joined (`join_terms`), and only then are quotients and quantiles formed (`finish`). Extrapolation, resets of
counters and the interpolation within buckets are those of Prometheus 2.53 (`promql/functions.go` and `quantile.go`).
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cqox.dashboards.history import Column, History
from cqox.dashboards.queries import Gauge, Increase, Match, MetricQuery, Quantile, Rate, Ratio, Sum

__all__ = ["Term", "Values", "finish", "join_terms", "names_of", "read_terms", "terms_of"]

_LOOK_BACK_SECONDS = 300.0
_FUNCTIONS: Mapping[str, Callable[[Iterable[float]], float]] = {"sum": math.fsum, "max": max, "min": min}

type Key = tuple[str, ...]
type Values = Mapping[Key, Sequence[float]]
"""Values at the times of a span by the values of the labels `by`; NaN where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A part of a query that processes can answer on their own.

    Attributes:
        name: of the samples.
        by: labels of the key.
        how: how samples with the same key are put together.
        where: conditions.
        function: None for a level.
        window: seconds that the function looks back; None for that of the panel.
    """

    name: str
    by: tuple[str, ...]
    how: str = "sum"
    where: tuple[Match, ...] = ()
    function: str | None = None
    window: int | None = None


def terms_of(query: MetricQuery) -> tuple[Term, ...]:
    """Return the terms of a query."""
    match query:
        case Gauge():
            return (Term(name=query.series.prometheus_name, by=query.by, how=query.how, where=query.where),)
        case Rate() | Increase():
            name = query.series.prometheus_name + ("_count" if query.series.kind == "histogram" else "")
            function = "rate" if isinstance(query, Rate) else "increase"
            return (Term(name=name, by=query.by, where=query.where, function=function, window=query.window),)
        case Quantile():
            name, by = f"{query.series.prometheus_name}_bucket", ("le", *query.by)
            return (Term(name=name, by=by, where=query.where, function="rate", window=query.window),)
        case Ratio():
            return (*terms_of(query.part), *terms_of(query.whole))
        case Sum():
            return tuple(term for part in query.parts for term in terms_of(part))


def names_of(query: MetricQuery) -> frozenset[str]:
    """Return the names of the samples that a query needs."""
    return frozenset(term.name for term in terms_of(query))


def read_terms(
    history: History, query: MetricQuery, times: Sequence[float], *, window: float, where: Sequence[Match] = ()
) -> list[Values]:
    """Return the values of the terms of a query in one process.

    Args:
        history: its samples.
        query: the query.
        times: seconds since the epoch, ascending.
        window: seconds that a function looks back where the query says none.
        where: conditions in addition to those of the query.
    """
    return [_read(history, term, times, window, where) for term in terms_of(query)]


def join_terms(query: MetricQuery, answers: Sequence[Sequence[Values]]) -> list[Values]:
    """Put the terms of several processes together."""
    return [_joined([answer[number] for answer in answers], term.how) for number, term in enumerate(terms_of(query))]


def finish(query: MetricQuery, terms: Sequence[Values], times: Sequence[float]) -> Values:
    """Return the values of a query at these times by the values of its labels."""
    match query:
        case Gauge():
            starts = times if query.until else [0.0] * len(times)
            return {
                key: [(value - start) * query.times for value, start in zip(values, starts, strict=True)]
                for key, values in terms[0].items()
            }
        case Rate() | Increase():
            return terms[0]
        case Quantile():
            return _quantiles(query.rank, terms[0])
        case Ratio():
            count = len(terms_of(query.part))
            part, whole = finish(query.part, terms[:count], times), finish(query.whole, terms[count:], times)
            return {key: _quotients(part.get(key), values, query.times) for key, values in whole.items()}
        case Sum():
            parts = [finish(part, [term], times) for part, term in zip(query.parts, terms, strict=True)]
            keys = [key for key in parts[0] if all(key in part for part in parts)]
            return {key: [math.fsum(each) for each in zip(*(part[key] for part in parts), strict=True)] for key in keys}


def _read(history: History, term: Term, times: Sequence[float], window: float, where: Sequence[Match]) -> Values:
    if not times:
        return {}
    reach = float(term.window or window) if term.function else _LOOK_BACK_SECONDS
    sampled, columns = history.read(term.name, times[0] - reach, times[-1])
    matches = [_matching(each) for each in (*where, *term.where)]
    series: dict[Key, list[Sequence[float]]] = {}
    for column in columns:
        if all(matched(column.labels) for matched in matches):
            found = (
                _levels(sampled, column, times) if term.function is None else _increases(sampled, column, times, reach)
            )
            if term.function == "rate":
                found = [value / reach for value in found]
            series.setdefault(tuple(column.labels.get(label, "") for label in term.by), []).append(found)
    joined = {key: _together(values, term.how) for key, values in series.items()}
    return {key: values for key, values in joined.items() if not all(map(math.isnan, values))}


def _matching(match: Match) -> Callable[[Mapping[str, str]], bool]:
    label, value = match.label, match.value
    if match.how in ("=", "!="):
        return lambda labels: (labels.get(label, "") == value) == (match.how == "=")
    # RE2 and Python agree on the expressions of our definitions.
    pattern = re.compile(value)
    return lambda labels: (pattern.fullmatch(labels.get(label, "")) is not None) == (match.how == "=~")


def _levels(sampled: Sequence[float], column: Column, times: Sequence[float]) -> list[float]:
    found = []
    for time in times:
        place = bisect_right(sampled, time) - 1
        near = place >= 0 and sampled[place] > time - _LOOK_BACK_SECONDS
        found.append(column.values[place] if near else math.nan)
    return found


def _increases(sampled: Sequence[float], column: Column, times: Sequence[float], window: float) -> list[float]:
    """Return by how much a counter has grown within the window before each time, extrapolated to all of it."""
    values, at = column.values, sampled
    if any(map(math.isnan, values)):
        there = [place for place, value in enumerate(values) if not math.isnan(value)]
        values, at = [values[place] for place in there], [sampled[place] for place in there]
    # What a counter had before it was reset is added to everything after, so that a difference is an increase.
    grown, lost, before = [], 0.0, -math.inf
    for value in values:
        lost += before if value < before else 0.0
        grown.append(value + lost)
        before = value
    found = []
    for time in times:
        first, last = bisect_left(at, time - window), bisect_right(at, time) - 1
        if last - first < 1:
            found.append(math.nan)
        else:
            seconds, increase = at[last] - at[first], grown[last] - grown[first]
            reach = _reach(at[first] - (time - window), time - at[last], seconds, last - first, increase, values[first])
            found.append(increase * reach / seconds)
    return found


def _reach(before: float, after: float, seconds: float, gaps: int, increase: float, first: float) -> float:
    """Return the seconds to which an increase is extrapolated: up to the edges of the window, or near its samples."""
    gap = seconds / gaps
    if before >= gap * 1.1:
        before = gap / 2
    if increase > 0 and first >= 0:
        # A counter is not below 0: it did not exist before it would have been.
        before = min(before, seconds * (first / increase))
    if after >= gap * 1.1:
        after = gap / 2
    return seconds + before + after


def _together(series: Sequence[Sequence[float]], how: str) -> list[float]:
    if len(series) == 1:
        return list(series[0])
    found = []
    for values in zip(*series, strict=True):
        there = [value for value in values if not math.isnan(value)]
        found.append(_FUNCTIONS[how](there) if there else math.nan)
    return found


def _joined(answers: Sequence[Values], how: str) -> Values:
    keys = {key: None for answer in answers for key in answer}
    return {key: _together([answer[key] for answer in answers if key in answer], how) for key in keys}


def _quotients(part: Sequence[float] | None, whole: Sequence[float], times: float) -> list[float]:
    parts = [0.0] * len(whole) if part is None else [0.0 if math.isnan(value) else value for value in part]
    return [
        math.nan if math.isnan(below) or below == 0 else above / below * times
        for above, below in zip(parts, whole, strict=True)
    ]


def _quantiles(rank: float, buckets: Values) -> Values:
    by_key: dict[Key, list[tuple[float, Sequence[float]]]] = {}
    for (bound, *key), values in buckets.items():
        by_key.setdefault(tuple(key), []).append((float(bound), values))
    found = {}
    for name, given in by_key.items():
        given.sort(key=lambda bucket: bucket[0])
        bounds = [bound for bound, _ in given]
        found[name] = [_quantile(rank, bounds, counts) for counts in zip(*(each for _, each in given), strict=True)]
    return found


def _quantile(rank: float, bounds: Sequence[float], counts: Sequence[float]) -> float:
    there = [(bound, count) for bound, count in zip(bounds, counts, strict=True) if not math.isnan(count)]
    if len(there) < 2 or there[-1][0] != math.inf or there[-1][1] == 0:
        return math.nan
    rising, most = [], 0.0
    for _, count in there:
        most = max(most, count)
        rising.append(most)
    wanted = rank * rising[-1]
    place = min(bisect_left(rising, wanted, 0, len(rising) - 1), len(rising) - 1)
    if place == len(rising) - 1:
        return there[-2][0]
    if place == 0 and there[0][0] <= 0:
        return there[0][0]
    start, below = (there[place - 1][0], rising[place - 1]) if place else (0.0, 0.0)
    return start + (there[place][0] - start) * ((wanted - below) / (rising[place] - below))
