"""The name that Prometheus has for a metric."""

import pytest

from cqox.telemetry.series import Kind, Series


@pytest.mark.parametrize(
    ("kind", "unit", "shown"),
    [
        ("gauge", "1", "cqox_a_b"),
        ("gauge", "By", "cqox_a_b_bytes"),
        ("histogram", "s", "cqox_a_b_seconds"),
        ("counter", "s", "cqox_a_b_seconds_total"),
        ("total", "{process}", "cqox_a_b_total"),
    ],
)
def test_a_name_at_prometheus_ends_in_the_unit_and_that_of_a_counter_in_total(
    kind: Kind, unit: str, shown: str
) -> None:
    assert Series(name="cqox.a.b", kind=kind, unit=unit, meaning="").prometheus_name == shown


def test_a_name_that_prometheus_would_misread_is_another_there() -> None:
    series = Series(name="cqox.a.count", kind="gauge", unit="{a}", meaning="", shown="cqox.a.number")
    assert series.prometheus_name == "cqox_a_number"
