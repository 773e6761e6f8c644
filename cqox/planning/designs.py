"""Power of the test of an effect, by the arms of a study: a difference of means, or of rates.

An arm is counted in what is assigned: rows, clusters or units of a panel. A design knows the variance of one of them
and nothing of how it came about, so that covariates, clusters, periods and pairs are all differences of means.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from cqox.estimators.numerics.detection import t_power
from cqox.estimators.numerics.quantiles import critical_value

__all__ = ["Arms", "Design", "Level", "MeanDifference", "RateDifference", "RateTest", "split"]

type RateTest = Literal["score", "arcsine", "wald"]
"""Test of a difference of rates: Pearson's chi-square, the arcsine transformation, or with unpooled variances."""


_ROUNDING = 1e-9


class Arms(NamedTuple):
    """Numbers of what is assigned to no treatment and to treatment; fractions while a size is searched."""

    control: float
    treated: float


class Level(NamedTuple):
    """Level of a test, and whether it is of one direction."""

    alpha: float
    one_sided: bool


class Design(Protocol):
    """A test of an effect at given arms."""

    def degrees(self, arms: Arms) -> float | None:
        """Return the degrees of freedom of the standard error, at most 0 where there is none; None for a normal."""

    def standard_error(self, arms: Arms, effect: float) -> float:
        """Return the standard error of the estimate under an effect."""

    def power(self, arms: Arms, effect: float, level: Level) -> float:
        """Return the probability that the test rejects under an effect; of a one-sided test, in its direction."""


def split(total: float, ratio: float, *, whole: bool) -> Arms:
    """Return the arms of a total.

    Args:
        total: what is assigned.
        ratio: treated for each untreated.
        whole: whether to round to whole numbers, the smaller arm up.
    """
    treated = total * ratio / (1.0 + ratio)
    if not whole:
        return Arms(total - treated, treated)
    total = round(total)
    smaller = math.ceil(total * min(ratio, 1.0) / (1.0 + ratio) - _ROUNDING * total)
    return Arms(total - smaller, smaller) if ratio <= 1.0 else Arms(smaller, total - smaller)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDifference:
    """A difference of means whose statistic is t, exact for normal outcomes of equal variance.

    With variances that differ the degrees of freedom are those of Welch and Satterthwaite (Moser, Stevens and Watts
    1989, doi 10.1080/03610928908830135). Covariates take degrees of freedom, and the arms differ in them by chance,
    which raises the variance by 1 + k/(n - k - 3) on average (Shieh 2020, doi 10.1007/s11336-019-09692-3).

    Attributes:
        control_variance, treated_variance: of one of what is assigned.
        pooled: whether both variances are estimated as one.
        lost: number of covariates, of what is assigned.
        pairs: whether each treated one is compared with a partner; the variances are then halves of that of a
            difference within a pair.
    """

    control_variance: float
    treated_variance: float
    pooled: bool = True
    lost: int = 0
    pairs: bool = False

    def degrees(self, arms: Arms) -> float:
        """See `Design`."""
        if self.pairs:
            return arms.treated - 1.0
        if self.lost and self._spare(arms) <= 0:
            return 0.0
        if self.pooled:
            return arms.control + arms.treated - 2.0 - self.lost
        if min(arms) <= 1.0:
            return 0.0
        parts = self.control_variance / arms.control, self.treated_variance / arms.treated
        spread = parts[0] ** 2 / (arms.control - 1.0) + parts[1] ** 2 / (arms.treated - 1.0)
        return (parts[0] + parts[1]) ** 2 / spread - self.lost

    def standard_error(self, arms: Arms, effect: float = 0.0) -> float:
        """See `Design`; it does not depend on the effect."""
        variance = self.control_variance / arms.control + self.treated_variance / arms.treated
        by_chance = 1.0 + self.lost / self._spare(arms) if self.lost else 1.0
        return math.sqrt(variance * by_chance)

    def _spare(self, arms: Arms) -> float:
        return arms.control + arms.treated - self.lost - 3.0

    def power(self, arms: Arms, effect: float, level: Level) -> float:
        """See `Design`."""
        ratio = abs(effect) / self.standard_error(arms)
        return t_power(ratio, level.alpha, self.degrees(arms), one_sided=level.one_sided)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDifference:
    """A difference of two rates.

    `score` is Pearson's chi-square test: its critical value has the pooled variance, its statistic the unpooled one
    (Fleiss, Tytun and Ury 1980, doi 10.2307/2529990). It is the default because it keeps its level with arms of
    unequal size, where a test with unpooled variances rejects too often; its power is within .03 of that by
    enumeration. `arcsine` (Cohen 1988, section 6.4) is nearer with equal arms and rates below 5%, and misses by up to
    .07 with unequal ones. `wald` has unpooled variances, as a difference in means with HC2 errors. Clusters take
    `wald` with t in place of the normal (Donner and Klar 2000).

    Attributes:
        baseline: rate without treatment, in (0, 1).
        test: which test.
        inflation: factor on the variances: less than 1 with covariates, more with clusters.
        clustered: whether arms are counted in clusters, each with the mean variance of one of them.
        lost: degrees of freedom that covariates take, of clusters.
    """

    baseline: float
    test: RateTest = "score"
    inflation: float = 1.0
    clustered: bool = False
    lost: int = 0

    def degrees(self, arms: Arms) -> float | None:
        """See `Design`."""
        return arms.control + arms.treated - 2.0 - self.lost if self.clustered else None

    def standard_error(self, arms: Arms, effect: float) -> float:
        """See `Design`."""
        treated = self._variance(self.baseline + effect) / arms.treated
        return math.sqrt(self._variance(self.baseline) / arms.control + treated)

    def power(self, arms: Arms, effect: float, level: Level) -> float:
        """See `Design`."""
        if self.clustered or self.test == "wald":
            ratio = abs(effect) / self.standard_error(arms, effect)
            return t_power(ratio, level.alpha, self.degrees(arms), one_sided=level.one_sided)
        if self.test == "arcsine":
            distance = 2.0 * abs(_angle(self.baseline + effect) - _angle(self.baseline))
            error = math.sqrt(self.inflation * (1.0 / arms.control + 1.0 / arms.treated))
            return t_power(distance / error, level.alpha, None, one_sided=level.one_sided)
        return self._score_power(arms, effect, level)

    def _score_power(self, arms: Arms, effect: float, level: Level) -> float:
        from scipy import special

        share = arms.treated / (arms.control + arms.treated)
        pooled = self._variance(self.baseline + share * effect) * (1.0 / arms.control + 1.0 / arms.treated)
        error = self.standard_error(arms, effect)
        critical = critical_value(2 * level.alpha if level.one_sided else level.alpha, None) * math.sqrt(pooled)
        above = float(special.ndtr((abs(effect) - critical) / error))
        return above if level.one_sided else above + float(special.ndtr((-abs(effect) - critical) / error))

    def _variance(self, rate: float) -> float:
        # An effect that is searched up to a rate of 1 may miss it by rounding.
        return self.inflation * max(rate * (1.0 - rate), 0.0)


def _angle(rate: float) -> float:
    return math.asin(math.sqrt(min(max(rate, 0.0), 1.0)))
