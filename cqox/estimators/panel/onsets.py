"""Starts of treatment on the scale of the periods, including starts between two periods, counted in steps."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Vector
from cqox.estimators.numerics.calendar import counted
from cqox.estimators.sample import listed

__all__ = ["LATEST", "Onset", "Onsets", "onsets"]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([ T].*)?")
LATEST = np.iinfo(np.int64).max // 2
"""The step of a treatment that never starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Onset:
    """A start of treatment.

    Attributes:
        start: position of the first treated period; the number of periods for units that are not treated within them.
        step: whole steps from the first period to the start, which may lie before the first treated period.
        value: the start on the numeric scale of the periods; infinite where there is none.
        name: the user's label of it.
    """

    start: int
    step: int
    value: float
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Onsets:
    """The starts of some units' treatments.

    Attributes:
        steps: (periods,) whole steps of the periods from the first: the unit of event time.
        each: in chronological order, that of the untreated last.
        code: (units,) the start of each unit.
        notes: notes on starts between two periods, each a sentence.
    """

    steps: Codes
    each: tuple[Onset, ...]
    code: Codes
    notes: tuple[Message, ...]

    def early(self, anticipation: int) -> NDArray[np.bool_]:
        """Return (units,) whether a start leaves no period before it, net of the periods of anticipation."""
        return np.asarray([each.step <= anticipation for each in self.each], dtype=np.bool_)[self.code]


def onsets(values: Vector, labels: Sequence[str], first: Vector) -> Onsets:
    """Return the starts of treatment and the steps in which they and the periods are counted.

    For years or months with gaps, steps are years or months (or several of them, if all periods and starts are so far
    apart); for days and other scales, one for each period, and a start between two periods counts as the later one.

    Args:
        values: (periods,) ascending.
        labels: the user's label of each; empty where that is its number.
        first: (units,) first treated period on the scale of the values, infinite where there is none.
    """
    last = float(values[-1])
    first = np.where(first <= values[0], values[0], np.where(first > last, np.inf, first))
    between = np.setdiff1d(first[np.isfinite(first)], values)
    notes: tuple[Message, ...] = ()
    places, named = values, tuple(labels)
    if len(between):
        joined = _joined(values, named, between)
        if joined is None:
            first = np.where(np.isfinite(first), values[np.minimum(np.searchsorted(values, first), len(values) - 1)],
                             np.inf)  # fmt: skip
        else:
            places, named = joined
            said = [named[at] if named else f"{places[at]:.10g}" for at in np.searchsorted(places, between)]
            notes = (Message("panel.starts-between-periods", starts=listed(said, 6)),)
    steps = _steps(places, named)
    used = np.unique(first[np.isfinite(first)])
    each = tuple(
        Onset(
            start=int(np.searchsorted(values, value)),
            step=int(steps[at]),
            value=float(value),
            name=named[at] if named else f"{value:.10g}",
        )
        for value, at in zip(used, np.searchsorted(places, used).tolist(), strict=True)
    )
    never = Onset(start=len(values), step=LATEST, value=math.inf, name="never")
    return Onsets(
        steps=steps[np.searchsorted(places, values)],
        each=(*each, never),
        code=np.searchsorted(used, first).astype(np.int64),
        notes=notes,
    )


def _joined(values: Vector, labels: tuple[str, ...], between: Vector) -> tuple[Vector, tuple[str, ...]] | None:
    """Return periods and starts together, and their calendar unit; None if they have none in common."""
    own = _whole(values, labels)
    places = np.union1d(values, between)
    named: tuple[str, ...] = ()
    if labels:
        known = dict(zip(values.tolist(), labels, strict=True))
        if not all(_DATE.fullmatch(label) for label in labels) or not (between == np.floor(between)).all():
            return None
        named = tuple(known.get(value) or str(np.datetime64(int(value), "D")) for value in places.tolist())
    joined = _whole(places, named)
    return (places, named) if own is not None and joined is not None and own[0] == joined[0] else None


def _steps(values: Vector, labels: Sequence[str]) -> Codes:
    """Return (n,) whole steps from the first of ascending values."""
    found = _whole(values, labels)
    if found is None:
        return np.arange(len(values), dtype=np.int64)
    gaps = np.diff(found[1])
    unit = math.gcd(*gaps.tolist()) if len(gaps) else 1
    return np.concatenate([[0], np.cumsum(gaps // max(unit, 1))]).astype(np.int64)


def _whole(values: Vector, labels: Sequence[str]) -> tuple[str, Codes] | None:
    """Return the unit of ascending values, and (n,) the number of units; None if they are not integer units."""
    periods = counted(values, labels or None)
    whole = periods.whole
    if whole is not None:
        return periods.unit, whole
    if labels or not (values == np.floor(values)).all() or np.ptp(values) > 2**50:
        return None
    return periods.unit, values.astype(np.int64)
