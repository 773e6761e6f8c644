"""PromQL of the queries; that Prometheus gives the numbers of the interpreter is in `test_interpreter`."""

from cqox.dashboards import Gauge, Match, Quantile, Rate, Ratio
from cqox.dashboards.promql import expression, selector
from cqox.telemetry.metric_definitions import Series

CALLS = Series(name="cqox.calls", kind="counter", unit="{call}", meaning="", labels=("policy",))
TIME = Series(name="cqox.time", kind="histogram", unit="s", meaning="")


def test_a_rate_has_the_window_of_the_panel_or_its_own() -> None:
    assert expression(Rate(series=CALLS, by=("policy",)), window="$w", where=()) == (
        "sum by (policy) (rate(cqox_calls_total{}[$w]))"
    )
    assert "[300s]" in expression(Rate(series=CALLS, by=("policy",), window=300), window="$w", where=())


def test_samples_of_other_services_are_left_out() -> None:
    assert expression(Gauge(series=CALLS, by=("policy",)), window="1m") == (
        'sum by (policy) (cqox_calls_total{job=~"cqox-.*"})'
    )


def test_a_quantile_sums_buckets_and_a_ratio_counts_an_absent_part_as_zero() -> None:
    assert expression(Quantile(rank=0.95, series=TIME, by=("job",)), window="1m", where=()) == (
        "histogram_quantile(0.95, sum by (le, job) (rate(cqox_time_seconds_bucket{}[1m])))"
    )
    ratio = Ratio(part=Gauge(series=CALLS, by=("job",)), whole=Gauge(series=CALLS, by=("job",)), times=200)
    level = "(sum by (job) (cqox_calls_total{}))"
    assert expression(ratio, window="1m", where=()) == f"({level} or {level} * 0) / {level} * 200"


def test_no_value_of_a_condition_ends_its_quotation() -> None:
    assert selector((Match(label="a", how="=", value='x"} or up{a="\\\n'),)) == '{a="x\\"} or up{a=\\"\\\\\\n"}'
