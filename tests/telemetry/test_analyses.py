from cqox.telemetry import metric_definitions
from cqox.telemetry.analyses import measure_report, measured_steps
from tests.measured import Measured


def test_each_step_is_measured_and_passed_on(measured: Measured) -> None:
    passed: list[object] = []
    step = measured_steps(passed.append)
    steps: list[dict[str, object]] = [
        {"step": "read", "seconds": 2.0}, {"step": "estimate.aipw", "seconds": 1, "status": "ok"},
    ]  # fmt: skip
    for each in steps:
        step(each)
    assert passed == steps
    assert measured.values == [
        ("cqox.analysis.step.duration", 2.0, {"step": "read"}),
        ("cqox.estimator.duration", 1, {"estimator": "aipw", "status": "ok"}),
    ]


def test_an_estimator_that_was_skipped_is_counted_and_not_timed(measured: Measured) -> None:
    measured_steps(lambda step: None)({"step": "estimate.aipw", "seconds": 0.0001, "status": "skipped"})
    assert measured.values == [("cqox.estimator.skipped", 1, {"estimator": "aipw"})]


def test_an_estimate_by_sums_is_not_timed_and_one_that_they_refuse_is_counted(measured: Measured) -> None:
    for status in ("ok", "warning", "skipped"):
        measured_steps(lambda step: None)({"step": "estimate.aipw", "seconds": None, "status": status})
    assert measured.values == [("cqox.estimator.skipped", 1, {"estimator": "aipw"})]


def test_a_step_without_a_name_or_a_duration_is_passed_on_alone(measured: Measured) -> None:
    passed: list[object] = []
    steps: list[dict[str, object]] = [{}, {"step": "read"}, {"step": "read", "seconds": "2"}, {"seconds": 1.0}]
    for each in steps:
        measured_steps(passed.append)(each)
    assert passed == steps
    assert not measured.values


def test_gates_are_counted_by_name_and_status_and_rows_are_recorded(measured: Measured) -> None:
    measure_report({"gates": {"overlap": {"status": "pass"}, "balance": {"status": "warn"}, "odd": None}}, rows=1500)
    assert measured.of(metric_definitions.GATE_RESULTS) == [
        {"gate": "overlap", "status": "pass"}, {"gate": "balance", "status": "warn"},
    ]  # fmt: skip
    assert ("cqox.dataset.rows", 1500, {}) in measured.values


def test_a_report_without_gates_or_rows_is_no_error(measured: Measured) -> None:
    for report in ({}, {"gates": None}, {"gates": []}):
        measure_report(report, rows=None)
    assert not measured.values
