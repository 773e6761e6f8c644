"""Placebo and conformal inference for synthetic controls: placebo units, placebo start dates, and permuted residuals.

The last is the conformal test of Chernozhukov, Wüthrich and Zhu (2021): under the null effect the weights are fitted to
all periods, so that residuals are exchangeable over time; the test rejects if those after the start are large.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.synthetic.weights import Weigh

__all__ = ["Conformal", "Placebo", "conformal", "placebo_groups", "placebos_in_space", "root_mean_square"]

_ORDERS, _MOST_CELLS, _MOST_HELD_OUT = 2_000, 4_000_000, 200
_SCAN, _BISECTIONS, _DOUBLINGS = 12, 16, 12


def root_mean_square(values: Vector) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def placebo_groups(donors: int, size: int, most: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Return distinct groups of `size` donors that leave at least two others: all of them, or `most` at random."""
    if donors - size < 2:
        return []
    if comb(donors, size) <= most:
        return [np.array(group) for group in combinations(range(donors), size)]
    if size == 1:
        return [np.array([each]) for each in np.sort(rng.choice(donors, most, replace=False))]
    drawn = dict[tuple[int, ...], None]()
    while len(drawn) < most:
        drawn[tuple(sorted(int(each) for each in rng.choice(donors, size, replace=False)))] = None
    return [np.array(group) for group in drawn]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placebo:
    """Untreated units as placebos.

    Attributes:
        group: (k,) rows of the donors.
        gaps: (periods,) of their mean to its synthetic control from the other donors.
    """

    group: NDArray[np.intp]
    gaps: Vector


def placebos_in_space(
    donors: Matrix, before: int, groups: Sequence[NDArray[np.intp]], weigh: Weigh
) -> tuple[Placebo, ...]:
    """Return the gaps of each group; treated units are excluded, because their outcomes include the effect."""
    found = []
    for group in groups:
        others = np.delete(donors, group, axis=0)
        target = donors[group].mean(axis=0)
        gaps = target - weigh(others[:, :before], target[:before]) @ others
        found.append(Placebo(group=group, gaps=gaps))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformal:
    """The effects that the conformal test does not reject.

    Attributes:
        lower, upper: of the interval; infinite where the test rejects no effect on that side.
        p_value: of no effect.
        orders: number of permutations of the residuals.
        method: the null hypothesis, and the permutations.
    """

    lower: float
    upper: float
    p_value: float
    orders: int
    method: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """Attributes as of `conformal`; orders: (orders, after) the periods whose residuals stand after the start."""

    donors: Matrix
    target: Vector
    before: int
    weigh: Weigh
    orders: NDArray[np.intp]

    def residuals(self, effect: float) -> Vector:
        """Return (periods,) residuals under an effect, from weights fitted to all periods."""
        without = self.target.copy()
        without[self.before :] -= effect
        return without - self.weigh(self.donors, without) @ self.donors

    def p_value(self, effect: float) -> float:
        """Return the share of permutations with at least as large a statistic."""
        residuals = self.residuals(effect)
        observed = abs(float(residuals[self.before :].sum()))
        sums = residuals[self.orders].sum(axis=1)
        # Another summation order must not break a tie.
        return float(np.mean(np.abs(sums) >= observed - 1e-9 * max(observed, 1e-3)))


def conformal(
    donors: Matrix,
    target: Vector,
    before: int,
    weigh: Weigh,
    *,
    centre: float,
    alpha: float,
    seed: int,
    held_out: bool = False,
) -> Conformal:
    """Return the interval by test inversion, and the test of no effect.

    The periods after the start count as one, their mean, whose residual is ranked among those of the periods before:
    the null hypothesis is on the average effect, for any path. A mean varies less than a single period, so that the
    test is conservative. With too few periods before the start for a rank to reject at the level, the interval is
    widened from the set that the strictest rank does not reject, to cover the constant effects that are not rejected
    when the sum of the residuals after the start is ranked among sums of as many at random.

    Args:
        donors: (donors, periods).
        target: (periods,) the mean of the treated.
        before: periods before the start.
        weigh: the weights.
        centre: an effect to search from, the average gap.
        alpha: one minus the level.
        seed: of the random orders.
        held_out: rank the average gap among residuals of single periods predicted by weights fitted without them
            (Barber et al. 2021, the jackknife) instead of fitting to all periods: for weights so flexible that they fit
            every period, residuals are not exchangeable.
    """
    strictest = 1 / (before + 1)
    single = _Test(
        donors=_collapsed(donors, before),
        target=_collapsed(target[None, :], before)[0],
        before=before,
        weigh=weigh,
        orders=np.arange(before, -1, -1)[:, None],
    )
    if held_out:
        found = _held_out(donors[:, :before], target[:before], weigh, centre, max(alpha, strictest))
    else:
        found = _inverted(single, centre, max(alpha, strictest), Message("synthetic.average-effect"))
    if alpha >= strictest - 1e-9:
        return found
    orders = _random_orders(len(target), len(target) - before, seed)
    several = _Test(donors=donors, target=target, before=before, weigh=weigh, orders=orders)
    wider = _inverted(several, centre, alpha, Message("synthetic.constant-effect"))
    return replace(
        wider,
        lower=min(found.lower, wider.lower),
        upper=max(found.upper, wider.upper),
        p_value=max(found.p_value, wider.p_value),
    )


def _inverted(test: _Test, centre: float, level: float, method: Message) -> Conformal:
    scale = max(root_mean_square(test.residuals(centre)), 1e-6)
    lower, upper = (_end(test.p_value, centre, side * scale, level + 1e-9) for side in (-1.0, 1.0))
    return Conformal(lower=lower, upper=upper, p_value=test.p_value(0.0), orders=len(test.orders), method=method)


def _held_out(donors: Matrix, target: Vector, weigh: Weigh, centre: float, level: float) -> Conformal:
    """Return the interval of the average gap by leave-one-out prediction errors of periods before the start."""
    held = np.unique(np.linspace(0, len(target) - 1, min(len(target), _MOST_HELD_OUT)).round().astype(np.intp))
    missed = np.empty(len(held))
    for place, period in enumerate(held):
        others = np.arange(len(target)) != period
        missed[place] = abs(target[period] - weigh(donors[:, others], target[others]) @ donors[:, period])
    orders = len(held) + 1
    half = float(np.sort(missed)[-max(int(level * orders + 1e-9), 1)])
    p_value = (1 + int(np.count_nonzero(missed >= abs(centre)))) / orders
    return Conformal(
        lower=centre - half,
        upper=centre + half,
        p_value=p_value,
        orders=orders,
        method=Message("synthetic.held-out-periods"),
    )


def _collapsed(outcomes: Matrix, before: int) -> Matrix:
    """Return (units, before + 1) with the mean of the periods after the start as the last."""
    return np.column_stack([outcomes[:, :before], outcomes[:, before:].mean(axis=1)])


def _random_orders(periods: int, after: int, seed: int) -> NDArray[np.intp]:
    """Return (orders, after) the periods permuted to after the start; the first permutation is the identity."""
    rng = np.random.default_rng(seed)
    count = max(min(_ORDERS, _MOST_CELLS // periods), 2)
    drawn = np.stack([rng.permutation(periods)[:after] for _ in range(count - 1)])
    return np.vstack([np.arange(periods - after, periods), drawn])


def _end(p_value: Callable[[float], float], centre: float, step: float, alpha: float) -> float:
    """Return the farthest effect from the centre, on the side of `step`, that is not rejected."""
    inside, reach = 0.0, 1.0
    for _ in range(_DOUBLINGS):
        if p_value(centre + reach * step) <= alpha:
            break
        inside, reach = reach, 2 * reach
    else:
        return float(np.copysign(np.inf, step))
    # The set that is not rejected need not be an interval.
    for far in np.linspace(reach, inside, _SCAN + 1)[1:-1]:
        if p_value(centre + far * step) > alpha:
            inside = float(far)
            break
        reach = float(far)
    for _ in range(_BISECTIONS):
        middle = (inside + reach) / 2
        if p_value(centre + middle * step) > alpha:
            inside = middle
        else:
            reach = middle
    return centre + inside * step
