"""Metrics of an analysis, from the steps that its worker reports and from its report."""

from collections.abc import Callable, Mapping

from cqox.telemetry import metric_definitions, metrics

__all__ = ["measure_report", "measured_steps"]

type _ReportStep = Callable[[Mapping[str, object]], None]

_ESTIMATE = "estimate."
_SKIPPED = "skipped"


def measured_steps(report_step: _ReportStep) -> _ReportStep:
    """Wrap a step reporter so that it measures each step before passing it on."""

    def measured(step: Mapping[str, object]) -> None:
        name, seconds = step.get("step"), step.get("seconds")
        if isinstance(name, str) and name.startswith(_ESTIMATE):
            estimator, status = name.removeprefix(_ESTIMATE), str(step.get("status"))
            if status == _SKIPPED:
                # Most are, at once: their times would be most lines of `/metrics` and say nothing.
                metrics.count(metric_definitions.ESTIMATOR_SKIPPED, {"estimator": estimator})
            elif isinstance(seconds, float | int):
                labels = {"estimator": estimator, "status": status}
                metrics.record(metric_definitions.ESTIMATOR_DURATION, seconds, labels)
        elif isinstance(name, str) and isinstance(seconds, float | int):
            metrics.record(metric_definitions.STEP_DURATION, seconds, {"step": name})
        report_step(step)

    return measured


def measure_report(report: Mapping[str, object], *, rows: object) -> None:
    """Record the metrics of a finished report.

    Args:
        report: the report; its `gates` are counted.
        rows: rows of the data set.
    """
    gates = report.get("gates")
    for name, gate in gates.items() if isinstance(gates, Mapping) else ():
        if isinstance(gate, Mapping):
            metrics.count(metric_definitions.GATE_RESULTS, {"gate": str(name), "status": str(gate.get("status"))})
    if isinstance(rows, int):
        metrics.record(metric_definitions.DATASET_ROWS, rows)
