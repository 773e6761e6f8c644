"""A span has the times at which a panel is answered."""

from cqox.dashboards import Span


def test_a_span_has_its_start_and_every_step_up_to_its_end() -> None:
    assert list(Span(start=100.0, end=130.0, step=10.0).times) == [100.0, 110.0, 120.0, 130.0]
    assert list(Span(start=100.0, end=139.0, step=10.0).times) == [100.0, 110.0, 120.0, 130.0]
    assert list(Span(start=100.0, end=100.0, step=10.0).times) == [100.0]


def test_a_step_that_is_no_binary_fraction_loses_no_time() -> None:
    assert len(Span(start=0.0, end=0.3, step=0.1).times) == 4
