"""Strata of the propensity score: where they are cut, which are joined, and the weights of their rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Json
from cqox.estimators.numerics.ties import TIE

__all__ = ["ScoreStrata", "group_strata", "joined_strata"]

_FEWEST = 2
_DECIMALS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreStrata:
    """Strata of the propensity score, from the lowest.

    Attributes:
        merged: number of strata that were merged into neighbours because they lacked rows of an arm.
        rows, mass: (strata, 2) rows and sampling weights of the untreated and the treated.
    """

    merged: int
    rows: NDArray[np.float64]
    mass: NDArray[np.float64]

    @property
    def count(self) -> int:
        """Number of strata."""
        return len(self.rows)

    @property
    def share(self) -> Vector:
        """The (strata,) share of each stratum, by sampling weights."""
        return np.asarray(self.mass.sum(axis=1) / self.mass.sum())

    @property
    def to_share(self) -> NDArray[np.float64]:
        """The (strata, 2) factors that give the sampling weights of a stratum and arm its share as their sum."""
        return np.asarray(self.share[:, None] / self.mass)

    @property
    def unbiased(self) -> NDArray[np.float64]:
        """The (strata, 2) factors of weighted residuals whose squares add up to the unbiased variance of each mean."""
        return np.asarray(np.sqrt(self.rows / (self.rows - 1.0)) * self.to_share)

    def described(self, lowest: Vector, highest: Vector, differences: Vector) -> list[Json]:
        """Return the rows of the table of strata, from the (strata,) lowest and highest scores and differences."""
        return [
            {
                "lowest": float(lowest[stratum]),
                "highest": float(highest[stratum]),
                "share": float(self.share[stratum]),
                "control": int(self.rows[stratum, 0]),
                "treated": int(self.rows[stratum, 1]),
                "difference": float(differences[stratum]),
            }
            for stratum in range(self.count)
        ]

    def warnings(self) -> tuple[Message, ...]:
        """Return what to say of strata that were merged."""
        if not self.merged:
            return ()
        return (Message("adjustment.strata-merged", fewest=_FEWEST, strata=self.count),)


def group_strata(
    before: Vector, mass: Vector, total: float, count: int, neighbours: Callable[[int], tuple[float, float] | None]
) -> NDArray[np.float64]:
    """Return (groups,) the quantile group of each group of tied scores, of `count` with equal shares.

    Tied rows take the midpoint of their cumulative shares (Hazen's definition of a quantile), so that neither repeating
    all rows nor reversing the score changes the groups. A point on a boundary falls into the group nearer to the
    middle; on the middle boundary, into that of the nearer neighbour.

    Args:
        before: (groups,) weight of the rows with lower scores.
        mass: (groups,) weight of the rows.
        total: weight of all rows.
        count: number of quantile groups.
        neighbours: returns how far the scores next to those of a group are from it, below and above; None where it has
            none on one side.
    """
    place = (before + mass / 2) * (count / total)
    # Another summation order of the weights must not move a row across a boundary.
    place = np.round(place, _DECIMALS)
    stratum = np.floor(place)
    stratum -= (place == stratum) & (place > count / 2)
    middle = int(np.searchsorted(place, count / 2))
    if middle < len(place) and place[middle] == stratum[middle] == count / 2:
        apart = neighbours(middle)
        if apart is not None:
            stratum[middle] -= apart[1] - apart[0] > TIE
    return np.clip(stratum, 0, count - 1)


def joined_strata(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (strata,) numbers without gaps after strata that lack rows of an arm are merged, from the ends inwards.

    Strata without rows have the number 0.

    Args:
        rows: (strata, 2) of the untreated and the treated.
    """
    groups = [[stratum] for stratum in range(len(rows)) if rows[stratum].sum() > 0]
    while len(groups) > 1:
        short = [place for place, group in enumerate(groups) if rows[group].sum(axis=0).min() < _FEWEST]
        if not short:
            break
        middle = (len(groups) - 1) / 2
        place = max(short, key=lambda each: abs(each - middle))
        first, last = place - (place >= middle), place + (place <= middle)
        groups[first : last + 1] = [[stratum for group in groups[first : last + 1] for stratum in group]]
    numbers = np.zeros(len(rows), dtype=np.int64)
    for number, group in enumerate(groups):
        numbers[group] = number
    return numbers
