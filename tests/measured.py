"""Keep in memory what a test measures: the fixture `measured`, which every test can ask for."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from cqox.telemetry import metrics
from cqox.telemetry.metric_definitions import Series


@dataclass
class Measured:
    """Measures that a test made."""

    values: list[tuple[str, float, dict[str, str | int]]] = field(default_factory=list)

    def take(self, series: Series, value: float, labels) -> None:
        assert set(labels) <= set(series.labels), f"{series.name} has no label {set(labels) - set(series.labels)}"
        self.values.append((series.name, value, dict(labels)))

    def of(self, series: Series) -> list[dict[str, str | int]]:
        return [labels for name, _, labels in self.values if name == series.name]


@pytest.fixture
def measured() -> Iterator[Measured]:
    """Measures are kept in memory."""
    sink = Measured()
    metrics.deliver_to(sink)
    yield sink
    metrics.deliver_to(None)
