"""Linear outcome regressions, one for each arm."""

from dataclasses import dataclass

from cqox.estimators._sample import Sample
from cqox.estimators.data import Vector

__all__ = ["ArmFits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFits:
    """What each arm's regression predicts for every row.

    Attributes:
        control, treated: (n,) predictions by row of the data, in units of y, NaN for rows not used.
        sample: the rows used.
        notes: what was done to the columns, each a sentence.
    """

    control: Vector
    treated: Vector
    sample: Sample
    notes: tuple[str, ...] = ()
