"""A planned study: power by its size and effect, and the size or effect that has a power."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cqox.estimators.numerics.detection import smallest
from cqox.planning.designs import Arms, Design, Level, split

__all__ = ["Size", "Study"]

_MOST_ROWS = 1e12
"""Size beyond which no study is searched."""

_ROUNDING = 1e-9


class Size(NamedTuple):
    """Arms of a study, and the mean rows of one of what is assigned to them: 1 without clusters."""

    arms: Arms
    cluster_size: float

    @property
    def n(self) -> int:
        """Rows, or units of a panel."""
        return round(sum(self.arms) * self.cluster_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A planned study of any size.

    With clusters either the rows of each are fixed and their number grows with the size, or their number is fixed and
    their rows grow.

    Attributes:
        design: the design by the mean rows of a cluster, which are inf for clusters without end.
        level: of the test.
        ratio: treated for each untreated.
        cluster_size: mean rows of a cluster.
        clusters: how many there are, where they are fixed.
        pairs: whether a treated row has an untreated partner.
        lowest, highest: ends of the effects that can be.
    """

    design: Callable[[float], Design]
    level: Level
    ratio: float = 1.0
    cluster_size: float = 1.0
    clusters: int | None = None
    pairs: bool = False
    lowest: float = -math.inf
    highest: float = math.inf

    def sized(self, n: float, *, whole: bool = True) -> Size:
        """Return the size with n rows, or units; its arms are rounded to whole numbers unless a size is searched."""
        if self.clusters:
            return Size(self._arms(self.clusters, whole=True), n / self.clusters)
        return Size(self._arms(n / self.cluster_size, whole=whole), self.cluster_size)

    def testable(self, size: Size) -> bool:
        """Return whether a size leaves degrees of freedom for the standard error."""
        if min(size.arms) < 1 or size.cluster_size < 1:
            return False
        degrees = self.design(size.cluster_size).degrees(size.arms)
        return degrees is None or degrees > 0

    def power(self, size: Size, effect: float) -> float:
        """Return the power at a testable size under an effect."""
        return self.design(size.cluster_size).power(size.arms, effect, self.level)

    def standard_error(self, size: Size, effect: float) -> float:
        """Return the standard error at a size under an effect."""
        return self.design(size.cluster_size).standard_error(size.arms, effect)

    def effect(self, size: Size, power: float, *, lower: bool = False) -> float | None:
        """Return the smallest effect with a power at a testable size; None where none has it.

        Args:
            size: the size.
            power: above the level.
            lower: whether effects below 0 are meant; the result is then negative.
        """
        sign, end = (-1.0, -self.lowest) if lower else (1.0, self.highest)
        guess = end if math.isfinite(end) else 3.0 * self.standard_error(size, 0.0)
        found = smallest(lambda amount: self.power(size, sign * amount) >= power, guess, most=end)
        return sign * found if math.isfinite(found) else None

    def size(self, effect: float, power: float) -> Size | None:
        """Return the smallest size at which an effect has a power; None where no size has it.

        Arms, or the rows of fixed clusters, are rounded up. The power is no less than asked for.
        """

        def enough(n: float) -> bool:
            size = self.sized(n, whole=False)
            return self.testable(size) and self.power(size, effect) >= power

        found = smallest(enough, 4.0 * (self.clusters or self.cluster_size), most=_MOST_ROWS)
        if not math.isfinite(found):
            return None
        size = self.sized(found, whole=False)
        if self.clusters:
            return Size(size.arms, float(math.ceil(size.cluster_size - _ROUNDING)))
        assigned = sum(math.ceil(arm - _ROUNDING) for arm in size.arms)
        step = 2 if self.ratio == 1.0 else 1
        while True:
            whole = Size(self._arms(assigned, whole=True), size.cluster_size)
            # One arm of a total can be below that of the search.
            if self.testable(whole) and self.power(whole, effect) >= power:
                return whole
            assigned += step

    def least(self) -> int:
        """Return the smallest number of rows, clusters or units, whatever is assigned, that is testable."""
        assigned = 2
        while not self.testable(Size(self._arms(assigned, whole=True), self.cluster_size)):
            assigned += 1
        return assigned

    def _arms(self, total: float, *, whole: bool) -> Arms:
        if self.pairs and whole:
            return Arms(float(total // 2), float(total // 2))
        return split(total, self.ratio, whole=whole)
