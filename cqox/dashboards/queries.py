"""Questions to time series, as small structures: `promql` writes them for Prometheus, `interpreter` answers them.

Labels are those of `/metrics`, where dots are underscores; every sample has `job` and `instance` as well.
"""

from dataclasses import dataclass
from typing import Literal

from cqox.contract.messages import Message
from cqox.telemetry.metric_definitions import Series

__all__ = ["Gauge", "Increase", "Legend", "Match", "MetricQuery", "Quantile", "Rate", "Ratio", "Sum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A condition on a label; an absent label is the empty text.

    Attributes:
        label: name of the label.
        how: `=` or `!=` to one text, `=~` or `!~` to the whole of a regular expression.
        value: the text or the expression.
    """

    label: str
    how: Literal["=", "!=", "=~", "!~"]
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """Name of a line: a word, if any, and the values of labels, separated by spaces.

    Attributes:
        word: what distinguishes the lines of one query from those of another.
        labels: labels of the query's `by`, in their order.
    """

    word: Message | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A level, over all samples with the same labels `by`.

    Attributes:
        series: a gauge.
        by: labels that distinguish lines.
        how: how samples are put together.
        where: conditions on labels, all of which must hold.
        times: factor of the values.
        until: whether the values are times since the epoch, of which the seconds that are left are asked.
        legend: name of a line.
    """

    series: Series
    by: tuple[str, ...]
    how: Literal["sum", "max", "min"] = "sum"
    where: tuple[Match, ...] = ()
    times: float = 1.0
    until: bool = False
    legend: Legend = Legend()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The growth of a counter per second, or the number of values of a histogram, summed by labels.

    Attributes:
        series: a counter, a total or a histogram.
        by: labels that distinguish lines.
        where: conditions on labels, all of which must hold.
        window: seconds that it looks back; None for that of the panel.
        legend: name of a line.
    """

    series: Series
    by: tuple[str, ...]
    where: tuple[Match, ...] = ()
    window: int | None = None
    legend: Legend = Legend()


@dataclass(frozen=True, slots=True, kw_only=True)
class Increase:
    """By how much a counter has grown within a window, summed by labels.

    Attributes:
        series: a counter, a total or a histogram.
        by: labels that distinguish lines.
        where: conditions on labels, all of which must hold.
        window: seconds that it looks back; None for that of the panel.
        legend: name of a line.
    """

    series: Series
    by: tuple[str, ...]
    where: tuple[Match, ...] = ()
    window: int | None = None
    legend: Legend = Legend()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """A quantile of a histogram, interpolated within its buckets.

    Attributes:
        rank: 0 to 1.
        series: a histogram.
        by: labels that distinguish lines.
        where: conditions on labels, all of which must hold.
        window: seconds that it looks back; None for that of the panel.
        legend: name of a line.
    """

    rank: float
    series: Series
    by: tuple[str, ...]
    where: tuple[Match, ...] = ()
    window: int | None = None
    legend: Legend = Legend()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One value in relation to another with the same labels.

    A `part` that is absent counts as 0 where there is a `whole`; there is no value where the whole is 0.

    Attributes:
        part: above the line; has the `by` of the whole.
        whole: below the line.
        times: factor of the quotient.
        legend: name of a line.
    """

    part: Gauge | Rate | Increase
    whole: Gauge | Rate | Increase
    times: float = 1.0
    legend: Legend = Legend()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """The sum of levels with the same labels; there is none where one of them is absent.

    Attributes:
        parts: levels with the same `by`.
        legend: name of a line.
    """

    parts: tuple[Gauge, ...]
    legend: Legend = Legend()


type MetricQuery = Gauge | Rate | Increase | Quantile | Ratio | Sum
