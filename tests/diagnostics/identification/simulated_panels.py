"""Panels whose right verdict is known: parallel trends or trends that part, anticipation, dips and feedback."""

from dataclasses import dataclass

import numpy as np

from cqox.estimators import Data, Matrix
from tests.estimators.designs import names_for, row_keys

__all__ = ["Block", "errors", "feedback", "low_before", "of_outcomes", "rollout", "switching"]


def errors(rng: np.random.Generator, units: int, periods: int, persistence: float) -> Matrix:
    """Stationary autoregressive errors (units, periods) of variance 1, and a level for each unit."""
    shocks = rng.standard_normal((units, periods))
    shocks[:, 1:] *= np.sqrt(1 - persistence**2)
    for at in range(1, periods):
        shocks[:, at] += persistence * shocks[:, at - 1]
    return shocks + 2 * rng.standard_normal((units, 1))


def of_outcomes(y: Matrix, on: Matrix) -> Data:
    """The data of (units, periods) outcomes and treatment."""
    units, periods = y.shape
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    return Data(
        n=y.size, y=y.ravel(), treatment=on.astype(float).ravel(), treatment_kind="binary", unit=unit, time=time,
        time_values=np.arange(2000.0, 2000.0 + periods), row_key=row_keys(unit, time),
        names={**names_for(np.empty((0, 0))), "treatment": ("on",), "unit_id": ("unit",), "time": ("time",)},
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block panel.

    Attributes:
        units: half of them treated.
        before, after: periods.
        effect: constant.
        slope: what the treated gain a period.
        early: what the treated gain in the last period before treatment alone.
        persistence: autocorrelation of the errors.
    """

    units: int = 60
    before: int = 4
    after: int = 4
    effect: float = 0.0
    slope: float = 0.0
    early: float = 0.0
    persistence: float = 0.5

    def drawn(self, seed: int) -> Data:
        rng = np.random.default_rng([7, seed])
        at = np.arange(self.before + self.after)
        ever = (np.arange(self.units) % 2)[:, None]
        y = errors(rng, self.units, len(at), self.persistence) + 0.3 * at
        y += ever * (self.effect * (at >= self.before) + self.slope * at + self.early * (at == self.before - 1))
        return of_outcomes(y, ever * (at >= self.before))


def rollout(
    seed: int, *, units: int = 90, periods: int = 9, effect: float = 0.0, slope: float = 0.0, early: float = 0.0
) -> Data:
    """A staggered panel with never treated units; earlier starters grow faster by `slope`."""
    rng = np.random.default_rng([8, seed])
    start = np.asarray([4, 5, 7, periods])[np.arange(units) % 4][:, None]
    at = np.arange(periods)
    y = errors(rng, units, periods, 0.5) + 0.3 * at + slope * (periods - start) / 4 * at
    y += effect * (at >= start) + early * (at == start - 1) * (start < periods)
    return of_outcomes(y, at >= start)


def switching(seed: int, *, units: int = 80, periods: int = 12, effect: float = 0.0, slope: float = 0.0) -> Data:
    """Treatment that goes on and off by chance; `slope` is what each earlier period of treatment adds to outcomes."""
    rng = np.random.default_rng([9, seed])
    often = rng.uniform(0.1, 0.4, units)
    on = np.zeros((units, periods), dtype=bool)
    for at in range(1, periods):
        on[:, at] = np.where(on[:, at - 1], rng.random(units) < 0.7, rng.random(units) < often)
    return of_outcomes(errors(rng, units, periods, 0.3) + slope * on.cumsum(axis=1) + effect * on, on)


def feedback(seed: int, *, units: int = 80, periods: int = 12) -> Data:
    """Treatment without effect that starts after a bad period."""
    rng = np.random.default_rng([10, seed])
    y = errors(rng, units, periods, 0.3)
    level = y.mean(axis=1, keepdims=True)
    on = np.zeros((units, periods), dtype=bool)
    on[:, 1:] = (y - level)[:, :-1] < -0.7
    return of_outcomes(y, on)


def low_before(seed: int, *, units: int = 100, before: int = 5, after: int = 3) -> Data:
    """Treatment without effect of the third of units with the lowest outcome in the last period before."""
    rng = np.random.default_rng([11, seed])
    y = errors(rng, units, before + after, 0.3)
    last = y[:, before - 1]
    ever = (last <= np.quantile(last, 1 / 3))[:, None]
    return of_outcomes(y, ever & (np.arange(before + after) >= before))
