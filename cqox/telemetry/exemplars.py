"""Exemplars: the trace of the last value in each bucket of a histogram. Imported only if metrics are recorded.

The reservoirs of OpenTelemetry forget what was collected once, so that of several readers one finds the link to a slow
request; and they keep exemplars of every counter and histogram, which costs something for each value.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Exemplar, ExemplarReservoir
from opentelemetry.sdk.metrics.view import View
from opentelemetry.util.types import Attributes

from cqox.telemetry.series import Series

__all__ = ["LastExemplars", "view_of"]

_KEEP_NANOSECONDS = 600 * 10**9
"""A trace that is older may be gone from its store."""


class LastExemplars(ExemplarReservoir):
    """The last value in each bucket with its trace, for ten minutes.

    Args:
        boundaries: upper bounds of the buckets.
    """

    def __init__(self, boundaries: Sequence[float]) -> None:
        self._boundaries = boundaries
        # One entry is replaced at once, so that neither side needs a lock.
        self._kept: list[Exemplar | None] = [None] * (len(boundaries) + 1)

    def offer(self, value: float, time_unix_nano: int, attributes: Attributes, context: Context) -> None:
        """Keep the value of a trace as the last one of its bucket."""
        ids = trace.get_current_span(context).get_span_context()
        if ids.is_valid:
            at = bisect_left(self._boundaries, value)
            self._kept[at] = Exemplar({}, value, time_unix_nano, ids.span_id, ids.trace_id)

    def collect(self, point_attributes: Attributes) -> list[Exemplar]:
        """Return what is kept, without forgetting it."""
        since = time.time_ns() - _KEEP_NANOSECONDS
        return [each for each in self._kept if each is not None and each.time_unix_nano >= since]


class _Nothing(ExemplarReservoir):
    def offer(self, value: float, time_unix_nano: int, attributes: Attributes, context: Context) -> None:
        pass

    def collect(self, point_attributes: Attributes) -> list[Exemplar]:
        return []


_nothing = _Nothing()


def view_of(series: Series) -> View:
    """Return the view of a metric, with exemplars if its definition has them."""
    return View(instrument_name=series.name, exemplar_reservoir_factory=_last if series.exemplars else _none)


def _last(aggregation: object) -> Callable[..., ExemplarReservoir]:
    # Exponential histograms, which a collector may ask for, have no bounds: one exemplar then.
    return lambda **settings: LastExemplars(settings.get("boundaries") or ())


def _none(aggregation: object) -> Callable[..., ExemplarReservoir]:
    return lambda **settings: _nothing
