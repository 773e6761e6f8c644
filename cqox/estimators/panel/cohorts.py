"""Staggered adoption designs: periods, cohorts with the same start of treatment, and the usable rows.

A panel follows units over time (`layout`); repeated cross-sections observe different units in each period
(`repeated_cross_sections`). Nothing is estimated here.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Vector
from cqox.estimators.estimator import TREATMENT_KINDS
from cqox.estimators.inference.make_estimate import varying_outcome
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.panel.onsets import LATEST, Onset
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = [
    "Cohort",
    "Staggered",
    "centred",
    "cohorts_of",
    "complete_sample",
    "narrowed",
    "periods_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """A cohort: the units with the same start of treatment.

    Attributes:
        onset: its start of treatment.
        units: their slice of the design's units.
        mass: the sum of their weights.
    """

    onset: Onset
    units: slice
    mass: float

    @property
    def start(self) -> int:
        """The position of the first treated period; the number of periods for units that are not treated within
        them."""
        return self.onset.start

    @property
    def size(self) -> int:
        """The number of units."""
        return len(range(self.units.start, self.units.stop))


@dataclass(frozen=True, slots=True, kw_only=True)
class Staggered(ABC):
    """Units sorted by the first period in which they are treated.

    Attributes:
        sample: the rows used.
        scale: units of y per unit of the stored outcomes.
        cohorts: from the earliest start to the latest, the untreated last.
        weights: (units,) sampling weights, of a unit's first row where they vary over time.
        values: (periods,) the periods on their numeric scale.
        labels: the user's labels of the periods of `values`, in order; empty where that is their number.
        steps: (periods,) whole steps of the periods from the first: the unit of event time.
        notes: what was left out, each a sentence.
    """

    word: ClassVar[Message]
    words: ClassVar[Message]
    """The words for a unit and for units."""

    sample: Sample
    scale: float
    cohorts: tuple[Cohort, ...]
    weights: Vector
    values: Vector
    steps: Codes
    labels: tuple[str, ...] = ()
    notes: tuple[Message, ...] = ()

    def called(self, period: int) -> str:
        """Return the user's label of a period."""
        return self.labels[period] if self.labels else f"{self.values[period]:.10g}"

    @property
    def periods(self) -> int:
        """The number of periods."""
        return len(self.values)

    @property
    def units(self) -> int:
        """The number of units."""
        return len(self.weights)

    @property
    def treated(self) -> tuple[Cohort, ...]:
        """The treated cohorts; without a never-treated cohort all but the last."""
        return tuple(cohort for cohort in self.cohorts if cohort.onset.step < LATEST)

    @property
    def comparison_onset(self) -> Onset:
        """The start of units that are not treated within the periods, for the last-treated cohort."""
        return replace(self.cohorts[-1].onset, step=LATEST, value=math.inf, name="never")

    def last_before(self, cohort: Cohort, anticipation: int) -> int:
        """Return the last period before a cohort's start that is free of anticipation; -1 where there is none."""
        return int(np.searchsorted(self.steps, cohort.onset.step - anticipation)) - 1

    @abstractmethod
    def until(self, periods: int) -> Self:
        """Return the design of the first periods alone, in which the last-treated cohort counts as untreated."""

    @property
    @abstractmethod
    def first_rows(self) -> NDArray[np.intp]:
        """(units,) the position in the sample of each unit's first row."""

    @abstractmethod
    def of_units(self, codes: Codes) -> Codes | None:
        """Return the (units,) codes from those of the sample's rows; None if some unit has several codes."""


def complete_sample(plan: Plan, *units: str) -> Sample:
    """Return the complete cases of the roles of a staggered design.

    Raises:
        UnusableData: no role defines the start of treatment, or the outcome is constant.
    """
    data = plan.data
    design = ["cohort"] if data.cohort is not None else ["treatment", "post"]
    if data.cohort is None and data.treatment is None:
        raise UnusableData(Message("panel.needs-cohort-or-treatment"))
    if data.cohort is None and data.treatment_kind != "binary":
        raise UnusableData(
            Message(
                "panel.needs-two-levels-or-cohort",
                treatment=plan.label("treatment"),
                kind=TREATMENT_KINDS[data.treatment_kind],
            )
        )
    # A missing cohort means that the unit is never treated.
    sample = plan.sample("y", *units, "time", "covariates", *(role for role in design if role != "cohort"))
    reason = varying_outcome(plan, sample)
    if reason is not None:
        raise UnusableData(reason)
    return sample


def periods_of(plan: Plan, sample: Sample) -> tuple[Codes, Vector, tuple[str, ...]]:
    """Return (rows of the sample,) periods numbered without gaps, their (periods,) values, and their labels.

    Raises:
        UnusableData: no time is mapped.
    """
    data = plan.data
    if data.time is None or data.time_values is None:
        raise UnusableData(Message("panel.needs-time"))
    codes = sample.take(data.time)
    seen = np.flatnonzero(np.bincount(codes))
    labels = tuple(data.time_labels[at] for at in seen) if data.time_labels else ()
    return compress(codes)[0], data.time_values[seen], labels


def narrowed(sample: Sample, kept: NDArray[np.bool_]) -> tuple[Sample, NDArray[np.intp]]:
    """Return the sample of some of its rows, and (n,) each old row's new position."""
    index = np.flatnonzero(kept)
    place = np.cumsum(kept) - 1
    full = index if sample.index is None else sample.index[index]
    return Sample(total=sample.total, n=len(index), index=full), place.astype(np.intp)


def cohorts_of(code: Codes, each: Sequence[Onset], weights: Vector) -> tuple[Cohort, ...]:
    """Return the cohorts of units in the order of their starts.

    Args:
        code: (units,) ascending, the start of each unit.
        each: the starts.
        weights: (units,) of the units.
    """
    levels, first, sizes = np.unique(code, return_index=True, return_counts=True)
    return tuple(
        Cohort(onset=each[level], units=slice(at, at + size), mass=float(weights[at : at + size].sum()))
        for level, at, size in zip(levels.tolist(), first.tolist(), sizes.tolist(), strict=True)
    )


def centred(plan: Plan, sample: Sample) -> tuple[Vector, float]:
    """Return (rows of the sample,) outcomes, centred and divided by a scale, and that scale."""
    y = sample.take(plan.data.y)
    y = y - float(y.mean())
    scale = max(float(y.max()), -float(y.min())) or 1.0
    y /= scale
    return y, scale
