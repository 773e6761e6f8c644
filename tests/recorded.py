"""Keep spans in memory: the fixture `kept`, which every test can ask for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from cqox.telemetry.spans import record_with

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from cqox.telemetry.recorder import OpenTelemetryRecorder


@dataclass
class Kept:
    """Spans that a test made."""

    recorder: "OpenTelemetryRecorder"
    exporter: "InMemorySpanExporter"

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    def named(self, name: str):
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, f"{len(found)} spans are called {name}; there are {[span.name for span in self.spans]}"
        return found[0]


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Spans are recorded, and kept in memory."""
    # Imported here, because this module is a plug-in of every run.
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from cqox.telemetry.recorder import OpenTelemetryRecorder

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    recorder = OpenTelemetryRecorder(provider.get_tracer("test"))
    before = record_with(recorder)
    yield Kept(recorder, exporter)
    record_with(before)
