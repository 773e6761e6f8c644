"""The interpreter gives the numbers of a real Prometheus on the same samples."""

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cqox.dashboards import Gauge, Increase, Match, MetricQuery, Quantile, Rate, Ratio, Sum
from cqox.dashboards.history import History, Sample
from cqox.dashboards.interpreter import finish, join_terms, names_of, read_terms
from cqox.dashboards.promql import expression
from cqox.telemetry.metric_definitions import Series
from tests.dashboards.backfilled import Backfilled, backfilled

START = 1_700_000_000.0
COUNTER = Series(name="calls", kind="counter", unit="1", meaning="", labels=("policy", "outcome"))
LEVEL = Series(name="level", kind="gauge", unit="1", meaning="", labels=("policy",))
TIME = Series(name="time", kind="histogram", unit="s", meaning="", labels=("policy",), buckets=(0.1, 1.0, 10.0))
A = Match(label="policy", how="=", value="a")
FAILED = Match(label="outcome", how="=~", value="failed|cut")
QUERIES: Sequence[MetricQuery] = (
    Gauge(series=LEVEL, by=("policy",)),
    Gauge(series=LEVEL, by=("policy",), how="max", times=2.0),
    Gauge(series=LEVEL, by=("job",), how="min", where=(Match(label="policy", how="!=", value="a"),)),
    Rate(series=COUNTER, by=("job", "policy")),
    Rate(series=COUNTER, by=("outcome",), where=(A,)),
    Rate(series=COUNTER, by=("policy",), window=600),
    Rate(series=TIME, by=("policy",)),
    Increase(series=COUNTER, by=("policy",), window=300),
    Quantile(rank=0.5, series=TIME, by=("policy",)),
    Quantile(rank=0.99, series=TIME, by=("job",), window=300),
    Ratio(
        part=Rate(series=COUNTER, by=("policy",), where=(FAILED,)),
        whole=Rate(series=COUNTER, by=("policy",)),
        times=200,
    ),
    Gauge(series=LEVEL, by=("policy",), how="min", until=True),
    Sum(
        parts=(Gauge(series=LEVEL, by=("policy",), how="max", times=2), Gauge(series=LEVEL, by=("policy",), where=(A,)))
    ),
    Ratio(part=Gauge(series=LEVEL, by=("policy",)), whole=Gauge(series=LEVEL, by=("policy",), how="max")),
)


def recorded() -> list[list[tuple[float, list[Sample]]]]:
    """Forty minutes of two processes, one of which restarts, begins late and misses scrapes."""
    chance = random.Random(11)
    processes = []
    for number in range(2):
        counts: dict[tuple[str, str], float] = {}
        buckets = {policy: [0.0, 0.0, 0.0, 0.0] for policy in ("a", "b")}
        rows = []
        for scrape in range(number * 30, 240):
            if number and scrape == 120:
                counts, buckets = {}, {policy: [0.0, 0.0, 0.0, 0.0] for policy in ("a", "b")}
            process = {"job": f"cqox-{number}", "instance": f"host:{number}"}
            samples = []
            for policy in ("a", "b"):
                for outcome in ("ok", "failed", "cut"):
                    # "cut" of b is never seen, and that of a not before a while.
                    if outcome == "cut" and (policy == "b" or scrape < 60):
                        continue
                    counts[policy, outcome] = counts.get((policy, outcome), 0.0) + chance.randrange(4)
                    labels = {**process, "policy": policy, "outcome": outcome}
                    samples.append(Sample("calls_total", labels, counts[policy, outcome]))
                samples.append(Sample("level", {**process, "policy": policy}, chance.randrange(100) / 8))
                for place in range(4):
                    buckets[policy][place] += chance.randrange(3) if policy == "a" or scrape > 100 else 0
                total = 0.0
                for bound, count in zip(("0.1", "1.0", "10.0", "+Inf"), buckets[policy], strict=True):
                    total += count
                    samples.append(Sample("time_seconds_bucket", {**process, "policy": policy, "le": bound}, total))
                samples.append(Sample("time_seconds_count", {**process, "policy": policy}, total))
            if not (number and 150 <= scrape < 156):
                rows.append((START + 10.0 * scrape + number, samples))
        processes.append(rows)
    return processes


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfilled]:
    samples = [(at, sample) for rows in recorded() for at, given in rows for sample in given]
    with backfilled(tmp_path_factory.mktemp("prometheus"), samples) as running:
        yield running


def histories() -> list[History]:
    found = []
    for rows in recorded():
        history = History()
        for at, samples in rows:
            history.add(at, samples)
        found.append(history)
    return found


def interpreted(query: MetricQuery, times: Sequence[float], window: float) -> dict[tuple[str, ...], dict[float, float]]:
    parts = [read_terms(history, query, times, window=window) for history in histories()]
    values = finish(query, join_terms(query, parts), times)
    return {
        key: {at: value for at, value in zip(times, line, strict=True) if not math.isnan(value)}
        for key, line in values.items()
        if not all(map(math.isnan, line))
    }


def labels_of(query: MetricQuery) -> tuple[str, ...]:
    match query:
        case Ratio():
            return query.whole.by
        case Sum():
            return query.parts[0].by
        case _:
            return query.by


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: expression(query, window="60s", where=())[:60])
@pytest.mark.parametrize(("window", "step"), [(60.0, 10.0), (240.0, 60.0)])
def test_every_value_is_that_of_prometheus(
    prometheus: Backfilled, query: MetricQuery, window: float, step: float, tmp_path: Path
) -> None:
    # Between two scrapes: whether the window includes its start differs between versions of Prometheus.
    start, end = START + 63.5, START + 2383.5
    expected = prometheus.range(expression(query, window=f"{window:.0f}s"), start, end, step)
    times = [start + number * step for number in range(int((end - start) / step) + 1)]
    found = interpreted(query, times, window)
    named = {tuple(sorted(zip(labels_of(query), key, strict=True))): line for key, line in found.items()}
    wanted = {
        key: there
        for key, line in expected.items()
        if (there := {at: value for at, value in line.items() if math.isfinite(value)})
    }
    assert wanted
    assert named.keys() == wanted.keys()
    for key, line in wanted.items():
        assert named[key] == pytest.approx(line, rel=1e-9, abs=1e-12), key


def test_a_query_names_the_samples_that_it_needs() -> None:
    assert names_of(QUERIES[0]) == {"level"}
    assert names_of(QUERIES[6]) == {"time_seconds_count"}
    assert names_of(QUERIES[8]) == {"time_seconds_bucket"}
    assert names_of(QUERIES[10]) == {"calls_total"}
