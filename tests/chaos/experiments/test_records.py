"""Records of the load: seconds, intervals, quantiles and the last failure."""

import pytest

from cqox.chaos.experiments.records import Records, Sent, quantile


def sent(begin: float, *, good: bool = True, kind: str = "analysis", seconds: float = 0.1, status: int = 0) -> Sent:
    status = status or (200 if good else 503)
    return Sent(kind=kind, begin=begin, seconds=seconds, status=status, is_good=good, deadline=8.0)


def test_requests_are_counted_in_the_second_in_which_they_began() -> None:
    records = Records(done=[sent(0.2), sent(0.9, good=False), sent(1.0, seconds=3.0), sent(1.5, seconds=1.0)])
    first, second, third = records.by_second(2.0)
    assert (first.sent, first.good, first.failures, first.median) == (2, 1, {503: 1}, 0.1)
    assert (second.sent, second.good, second.failures) == (2, 2, {})
    assert (second.median, second.slowest) == (1.0, 3.0)
    assert (third.sent, third.median) == (0, None)


def test_an_interval_has_its_begin_and_not_its_end() -> None:
    records = Records(done=[sent(1.0), sent(2.0, kind="job"), sent(3.0)])
    assert [each.begin for each in records.between(1.0, 3.0)] == [1.0, 2.0]
    assert [each.begin for each in records.between(1.0, 4.0, "job")] == [2.0]


def test_the_last_failure_is_one_that_failed_or_one_that_waits_too_long() -> None:
    records = Records(done=[sent(1.0, good=False), sent(5.0, good=False), sent(6.0)], pending={1: 7.0, 2: 9.5})
    assert records.last_failure(0.0, 10.0, patience=1.5) == 7.0
    assert records.last_failure(0.0, 8.0, patience=1.5) == 5.0
    assert records.last_failure(5.5, 8.0, patience=1.5) is None


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 2), (0.75, 3), (0.76, 4), (1.0, 4)])
def test_a_quantile_is_the_smallest_value_that_so_many_do_not_exceed(share: float, expected: float) -> None:
    assert quantile([4, 2, 1, 3], share) == expected
    assert quantile([], share) is None
