import logging
from typing import cast

import pytest
from opentelemetry.sdk.metrics.export import MetricExporter

from cqox.telemetry.otlp_reader import PeriodicExport
from cqox.telemetry.prometheus import Exposition
from tests.waiting import PATIENCE_SECONDS, wait_until


class Collector:
    """A reader of metrics and an exporter."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.calls: list[object] = []
        self.data: object = "data"

    def collect(self) -> object:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return self.data

    def export(self, data: object) -> None:
        self.calls.append(data)

    def shutdown(self) -> None:
        self.calls.append("shutdown")


def started(collector: Collector, seconds: float) -> PeriodicExport:
    return PeriodicExport(cast("Exposition", collector), cast("MetricExporter", collector), seconds=seconds)


def test_the_end_exports_a_last_time_before_the_exporter_is_shut_down() -> None:
    collector = Collector()
    started(collector, PATIENCE_SECONDS * 10).shutdown()
    assert collector.calls == ["data", "shutdown"]


def test_metrics_are_exported_again_and_again() -> None:
    collector = Collector()
    export = started(collector, 0.001)
    wait_until(lambda: len(collector.calls) >= 3)
    export.shutdown()
    assert collector.calls[-1] == "shutdown"


def test_a_failed_export_is_logged_and_the_next_one_is_tried(caplog: pytest.LogCaptureFixture) -> None:
    collector = Collector(OSError("unreachable"), OSError("unreachable"))
    with caplog.at_level(logging.ERROR, "cqox.telemetry"):
        export = started(collector, 0.001)
        wait_until(lambda: collector.calls)
        export.shutdown()
    assert len(caplog.records) == 2
    assert "unreachable" in caplog.text


def test_without_metrics_nothing_is_exported() -> None:
    collector = Collector()
    collector.data = None
    started(collector, PATIENCE_SECONDS * 10).shutdown()
    assert collector.calls == ["shutdown"]


def test_its_thread_keeps_no_process_alive() -> None:
    export = started(Collector(), PATIENCE_SECONDS * 10)
    assert export._thread.daemon
    export.shutdown()
    assert not export._thread.is_alive()
