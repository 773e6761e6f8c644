import pytest

from deploy.prometheus.alert import duration, scaled, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0.0), ("45s", 45.0), ("1m30s", 90.0), ("14d", 1209600.0), ("250ms", 0.25), ("6h", 21600.0)],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (45, "45s"), (120, "2m"), (90, "90s"), (2.25, "2250ms"), (86400, "1d"), (21600, "6h")],
)
def test_seconds_are_written_in_the_longest_unit_that_is_exact(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert seconds_of(text) == pytest.approx(seconds)


def test_every_time_of_an_expression_is_scaled_and_nothing_else() -> None:
    expression = 'rate(a_total{le="30.0"}[5m]) > 0.1 and b < seconds(600) and increase(c[40s] offset 40s) >= 10'
    shorter = 'rate(a_total{le="30.0"}[15s]) > 0.1 and b < 30 and increase(c[2s] offset 2s) >= 10'
    assert scaled(expression, 20.0) == shorter
    assert scaled(expression, 1.0) == expression.replace("seconds(600)", "600")
