from collections.abc import Iterator

import pytest

from cqox.telemetry import metrics
from cqox.telemetry.metric_definitions import CACHE_REQUESTS, DATASET_ROWS, QUEUE_DEPTH, WORKERS
from cqox.telemetry.series import Series
from tests.measured import Measured


@pytest.fixture(autouse=True)
def nowhere() -> Iterator[None]:
    """Measurements go nowhere before and after each test."""
    metrics.deliver_to(None)
    yield
    metrics.deliver_to(None)


def test_values_and_counts_reach_the_sink_with_their_labels(measured: Measured) -> None:
    metrics.record(DATASET_ROWS, 12.5)
    metrics.count(CACHE_REQUESTS, {"cache": "memory", "outcome": "hit"})
    metrics.count(CACHE_REQUESTS, {"cache": "memory", "outcome": "miss"}, 3)
    assert measured.values == [
        (DATASET_ROWS.name, 12.5, {}),
        (CACHE_REQUESTS.name, 1, {"cache": "memory", "outcome": "hit"}),
        (CACHE_REQUESTS.name, 3, {"cache": "memory", "outcome": "miss"}),
    ]


def test_what_is_kept_for_later_comes_first_and_once_as_it_was_when_recorded() -> None:
    labels: dict[str, str | int] = {"cache": "memory", "outcome": "hit"}
    metrics.keep_for_later()
    metrics.count(CACHE_REQUESTS, labels)
    labels["outcome"] = "miss"
    sink, later = Measured(), Measured()
    metrics.deliver_to(sink)
    metrics.record(DATASET_ROWS, 1.0)
    assert [name for name, _, _ in sink.values] == [CACHE_REQUESTS.name, DATASET_ROWS.name]
    assert sink.of(CACHE_REQUESTS) == [{"cache": "memory", "outcome": "hit"}]
    metrics.deliver_to(later)
    assert not later.values


def test_what_is_kept_for_later_is_bounded_and_the_oldest_go_first() -> None:
    metrics.keep_for_later()
    for number in range(20_003):
        metrics.record(DATASET_ROWS, number)
    sink = Measured()
    metrics.deliver_to(sink)
    # What threads of other tests still measure comes to the same sink.
    assert [value for name, value, _ in sink.values if name == DATASET_ROWS.name] == list(range(3, 20_003))


def test_without_a_sink_measurements_and_what_was_kept_are_dropped() -> None:
    metrics.keep_for_later()
    metrics.record(DATASET_ROWS, 1.0)
    metrics.deliver_to(None)
    metrics.record(DATASET_ROWS, 2.0)
    sink = Measured()
    metrics.deliver_to(sink)
    assert not sink.values


def test_a_metric_is_read_from_all_that_watch_it_until_each_ends() -> None:
    # A session of this process may watch the same.
    others = [metrics.read(each) for each in (QUEUE_DEPTH, WORKERS)]
    readings = len(metrics.readings(QUEUE_DEPTH))
    depth = [3.0]
    first = metrics.watch(QUEUE_DEPTH, lambda: [(depth[0], {})])
    second = metrics.watch(QUEUE_DEPTH, lambda: [(10.0, {}), (20.0, {})])
    other = metrics.watch(WORKERS, lambda: [(1.0, {"state": "idle"})])
    assert metrics.read(QUEUE_DEPTH) == [*others[0], (3.0, {}), (10.0, {}), (20.0, {})]
    depth[0] = 4.0
    second()
    assert metrics.read(QUEUE_DEPTH) == [*others[0], (4.0, {})]
    assert len(metrics.readings(QUEUE_DEPTH)) == readings + 1
    first()
    first()
    assert metrics.read(QUEUE_DEPTH) == others[0]
    assert metrics.read(WORKERS) == [*others[1], (1.0, {"state": "idle"})]
    other()


def test_labels_that_are_known_from_the_start_are_those_of_the_definition_and_of_who_registers() -> None:
    counter = Series(
        name="t.born", kind="counter", unit="1", meaning="", labels=("policy", "reason"), born=(("a", "b"),)
    )
    end = metrics.born(counter, lambda: [{"policy": "c", "reason": "d"}])
    assert metrics.births(counter) == [{"policy": "a", "reason": "b"}, {"policy": "c", "reason": "d"}]
    end()
    assert metrics.births(counter) == [{"policy": "a", "reason": "b"}]
    assert metrics.births(Series(name="t.bare", kind="counter", unit="1", meaning="")) == [{}]
