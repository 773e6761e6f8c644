"""Samples of a process are kept in bounded memory, finely for an hour and coarsely for a day."""

import math

from cqox.dashboards.history import History, Sample


def sample(value: float, **labels: str) -> Sample:
    return Sample("calls", labels, value)


def filled(history: History, seconds: int, every: int = 10) -> None:
    for at in range(0, seconds, every):
        history.add(1000.0 + at, [sample(at, policy="a")])


def test_the_last_hour_is_fine_and_what_is_before_is_coarse() -> None:
    history = History()
    filled(history, 8 * 3600)
    end = 1000.0 + 8 * 3600
    assert history.every(end - 3600) == 10
    assert history.every(end - 2 * 3600) == 120
    times, [column] = history.read("calls", end - 7200, end)
    assert len(times) == 60
    assert times[1] - times[0] == 120
    assert list(column.values) == [at - 1000 for at in times]


def test_a_young_process_answers_finely_whatever_is_asked_for() -> None:
    history = History()
    filled(history, 600)
    times, _ = history.read("calls", 0.0, 5000.0)
    assert len(times) == 60


def test_the_oldest_are_overwritten_and_memory_stays_as_it_is() -> None:
    history = History(tiers=((10.0, 6),))
    filled(history, 1000)
    times, [column] = history.read("calls", 0.0, 5000.0)
    assert times == [1940.0, 1950.0, 1960.0, 1970.0, 1980.0, 1990.0]
    assert list(column.values) == [940.0, 950.0, 960.0, 970.0, 980.0, 990.0]


def test_a_series_that_pauses_has_no_value_there_and_one_that_ended_is_forgotten() -> None:
    history = History(tiers=((10.0, 4),))
    history.add(10.0, [sample(1, policy="a"), sample(1, policy="b")])
    history.add(20.0, [sample(2, policy="a")])
    _, columns = history.read("calls", 0.0, 100.0)
    [b] = [column for column in columns if column.labels == {"policy": "b"}]
    assert b.values[0] == 1
    assert math.isnan(b.values[1])
    for at in range(30, 80, 10):
        history.add(float(at), [sample(3, policy="a")])
    _, columns = history.read("calls", 0.0, 100.0)
    assert [column.labels for column in columns] == [{"policy": "a"}]


def test_series_beyond_the_bound_are_counted_and_not_kept() -> None:
    history = History(tiers=((10.0, 4),), most_series=3)
    history.add(10.0, [sample(1, policy=str(number)) for number in range(5)])
    assert history.lost == 2
    _, columns = history.read("calls", 0.0, 100.0)
    assert len(columns) == 3


def test_a_clock_that_was_set_back_adds_nothing() -> None:
    history = History()
    history.add(100.0, [sample(1)])
    history.add(50.0, [sample(2)])
    times, _ = history.read("calls", 0.0, 1000.0)
    assert times == [100.0]
