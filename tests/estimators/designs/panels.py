"""Units or groups over time: panels, two periods, a series."""

import numpy as np

from cqox.estimators import Data
from tests.estimators.designs._describing import EFFECT, names_for, row_keys


def panel(units: int = 80, periods: int = 6, seed: int = 3, *, staggered: bool = False, dropped: float = 0.0) -> Data:
    """Units over periods with unit and period effects, and a covariate that moves; the effect is `EFFECT`."""
    rng = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    start = np.full(units, periods)
    start[: units // 2] = rng.integers(2, periods, units // 2) if staggered else periods // 2
    status = (time >= start[unit]).astype(float)
    x = rng.standard_normal((len(unit), 1)) + 0.2 * time[:, None]
    noise = rng.standard_normal(units)[unit] * (time / periods) + rng.standard_normal(len(unit))
    y = rng.standard_normal(units)[unit] * 3 + np.sin(time) * 2 + EFFECT * status + 0.7 * x[:, 0] + noise
    keep = rng.random(len(unit)) >= dropped
    unit, time, status, x, y = unit[keep], time[keep], status[keep], x[keep], y[keep]
    return Data(
        n=len(unit),
        y=y,
        treatment=status,
        treatment_kind="binary",
        covariates=x,
        propensity_covariates=x,
        unit=unit,
        time=time,
        time_values=np.arange(2000.0, 2000.0 + periods),
        row_key=row_keys(unit),
        names=names_for(x),
    )


def two_periods(n: int = 800, seed: int = 4) -> Data:
    """A repeated cross-section before and after; the effect on the treated is `EFFECT`."""
    rng = np.random.default_rng(seed)
    group, post = (rng.random(n) < 0.4).astype(float), (rng.random(n) < 0.5).astype(float)
    x = rng.standard_normal((n, 1))
    y = 1 + group + 0.5 * post + EFFECT * group * post + x[:, 0] + rng.standard_normal(n)
    return Data(
        n=n,
        y=y,
        treatment=group,
        treatment_kind="binary",
        covariates=x,
        propensity_covariates=x,
        post=post,
        row_key=row_keys(x, group, post, y),
        names=names_for(x),
    )


def factor_panel(
    donors: int = 20,
    periods: int = 30,
    seed: int = 6,
    *,
    treated: int = 3,
    before: int = 20,
    effect: float = EFFECT,
    noise: float = 0.5,
    covariates: bool = True,
) -> Data:
    """A panel of two factors, the treated units first, which load as a mixture of donors does and start together."""
    rng = np.random.default_rng(seed)
    units = treated + donors
    loadings = np.column_stack([rng.standard_normal((units, 2)), np.ones(units)])
    mixture = rng.dirichlet(np.full(donors, 0.3), treated)
    loadings[:treated] = mixture @ loadings[treated:]
    factors = rng.standard_normal((periods, 3)) + np.sin(np.arange(periods) / 4)[:, None]
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    status = ((unit < treated) & (time >= before)).astype(float)
    y = (loadings @ factors.T)[unit, time] + effect * status + noise * rng.standard_normal(units * periods)
    x = rng.standard_normal((len(unit), 1 if covariates else 0))
    return Data(
        n=len(unit),
        y=y,
        treatment=status,
        treatment_kind="binary",
        covariates=x,
        propensity_covariates=x,
        unit=unit,
        time=time,
        time_values=np.arange(1990.0, 1990.0 + periods),
        row_key=row_keys(unit),
        names=names_for(x),
    )


def series(
    before: int = 60,
    after: int = 40,
    seed: int = 8,
    *,
    level: float = EFFECT,
    slope: float = 0.0,
    dependence: float = 0.3,
    noise: float = 1.0,
    units: int = 1,
) -> Data:
    """A trend with autoregressive errors, and a jump and a change of slope at the intervention."""
    rng = np.random.default_rng(seed)
    periods = before + after
    error, errors = 0.0, np.empty(periods + 50)
    for place, shock in enumerate(noise * rng.standard_normal(periods + 50)):
        error = errors[place] = dependence * error + shock
    since = np.arange(periods) - before
    post = (since >= 0).astype(float)
    path = 10 + 0.05 * since + (level + slope * since) * post + errors[50:]
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    y = path[time] + (rng.standard_normal(units)[unit] if units > 1 else 0.0)
    x = rng.standard_normal((len(y), 1))
    return Data(
        n=len(y),
        y=y,
        treatment=post[time],
        treatment_kind="binary",
        covariates=x,
        propensity_covariates=x,
        unit=unit if units > 1 else None,
        time=time,
        time_values=np.arange(1.0, 1.0 + periods),
        post=post[time],
        row_key=row_keys(time, unit),
        names={**names_for(x), "time": ("time",), "post": ("post",)},
    )


def switching(
    units: int = 150, periods: int = 8, seed: int = 13, *, dip: float = 0.0, dropped: float = 0.0, spread: float = 0.5
) -> Data:
    """A treatment that starts and ends, more often in units that had it; it moves y while it lasts, by `EFFECT`.

    `dip` lets it start where the outcome fell, so that units of the same history did not move in parallel.
    """
    rng = np.random.default_rng(seed)
    level, gain = rng.standard_normal(units), EFFECT + spread * rng.standard_normal(units)
    shock, common = rng.standard_normal((periods, units)), 2 * rng.standard_normal(periods)
    on = np.zeros((periods, units))
    for period in range(1, periods):
        lean = -1.4 + 1.8 * on[period - 1] + 0.5 * level - dip * shock[period - 1]
        on[period] = rng.random(units) < 1 / (1 + np.exp(-lean))
    x = rng.standard_normal((periods, units)) + level
    y = 3 * level + common[:, None] + gain * on + shock
    time, unit = np.divmod(np.arange(units * periods), units)
    kept = rng.random(len(unit)) >= dropped
    x = x.ravel()[kept, None]
    return Data(
        n=int(kept.sum()),
        y=y.ravel()[kept],
        treatment=on.ravel()[kept],
        treatment_kind="binary",
        covariates=x,
        propensity_covariates=x,
        unit=unit[kept],
        time=time[kept],
        time_values=np.arange(2000.0, 2000.0 + periods),
        row_key=row_keys(unit[kept]),
        names={**names_for(x), "unit_id": ("unit",), "time": ("year",)},
    )
