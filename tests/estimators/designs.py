"""Simulated data whose effect is known, for every family; and the transformations that the laws speak of."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cqox.estimators import Data, Estimator, Matrix, Settings, Vector

EFFECT = 2.0


def row_keys(*columns: NDArray[np.generic]) -> NDArray[np.uint64]:
    """A digest of each row's content."""
    rows = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def names_for(x: Matrix) -> dict[str, tuple[str, ...]]:
    """Column names for the roles."""
    labels = tuple(f"x{column}" for column in range(x.shape[1]))
    return {"y": ("y",), "treatment": ("t",), "covariates": labels, "propensity_covariates": labels}


def cross_section(
    n: int = 800,
    seed: int = 1,
    *,
    p: int = 4,
    effect: float = EFFECT,
    heterogeneous: bool = True,
    weights: bool = True,
    continuous: bool = False,
) -> Data:
    """Confounding by covariates, linear outcomes, a logit treatment; the ATE is `effect`."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) * np.linspace(1, 20, p) + np.linspace(0, 300, p)
    centred = (x - np.linspace(0, 300, p)) / np.linspace(1, 20, p)
    lean = centred @ np.linspace(0.6, -0.3, p)
    t = lean + rng.standard_normal(n) if continuous else (rng.random(n) < 1 / (1 + np.exp(-lean))).astype(float)
    tau = effect + (0.5 * centred[:, 0] if heterogeneous else 0.0)
    y = 1.0 + centred @ np.linspace(1, 0.2, p) + tau * t + rng.standard_normal(n) * (1 + 0.3 * np.abs(centred[:, 0]))
    return Data(
        n=n,
        y=y,
        treatment=t,
        treatment_kind="continuous" if continuous else "binary",
        covariates=x,
        propensity_covariates=x,
        weights=rng.uniform(0.5, 2.0, n) if weights else None,
        row_key=row_keys(x, t, y),
        names=names_for(x),
    )


def instrumented(n: int = 2000, seed: int = 2, *, strength: float = 1.0, m: int = 1, covariates: bool = True) -> Data:
    """An unmeasured confounder and instruments that do not know it; the effect is `EFFECT`."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    z = rng.standard_normal((n, m)) + 0.3 * x[:, :1] if covariates else (rng.random((n, m)) < 0.5).astype(float)
    u = rng.standard_normal(n)
    t = strength * z.sum(axis=1) + 0.5 * x[:, 0] + u + rng.standard_normal(n)
    y = EFFECT * t + x @ [1.0, -1.0] + 2 * u + rng.standard_normal(n)
    x = x if covariates else np.empty((n, 0))
    return Data(
        n=n,
        y=y,
        treatment=t,
        treatment_kind="continuous",
        covariates=x,
        propensity_covariates=x,
        instruments=z,
        row_key=row_keys(x, t, y),
        names={**names_for(x), "instrument": tuple(f"z{column}" for column in range(m))},
    )


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


def discontinuity(
    n: int = 900,
    seed: int = 7,
    *,
    fuzzy: bool = False,
    covariates: bool = True,
    cutoff: float = 0.5,
    effect: float = EFFECT,
) -> Data:
    """A curved outcome that jumps by `effect` where a score crosses its cutoff, for all or for those who comply."""
    rng = np.random.default_rng(seed)
    score = 2 * rng.beta(2, 3, n) - 0.3
    above = (score >= cutoff).astype(float)
    t = (rng.random(n) < 0.15 + 0.7 * above).astype(float) if fuzzy else above
    x = rng.standard_normal((n, 2)) + [0.0, 0.5] * score[:, None]
    y = 1 + np.sin(2 * score) + effect * t + x @ [0.5, -0.3] + rng.standard_normal(n) * (0.5 + 0.3 * np.abs(score))
    x = x if covariates else np.empty((n, 0))
    names = {role: labels for role, labels in names_for(x).items() if role != "treatment" or fuzzy}
    return Data(
        n=n,
        y=y,
        treatment=t if fuzzy else None,
        treatment_kind="binary" if fuzzy else "none",
        covariates=x,
        propensity_covariates=x,
        running=score,
        cutoff=cutoff,
        row_key=row_keys(score, t, y),
        names={**names, "running": ("score",)},
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


def logged(n: int = 1500, seed: int = 8, *, actions: int = 3, policy: bool = True) -> Data:
    """The log of a softmax policy over actions whose rewards depend on covariates, and another policy."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    tilt = np.linspace(-0.5, 0.5, actions)
    chances = np.exp(x[:, :1] * tilt)
    chances /= chances.sum(axis=1, keepdims=True)
    action = (rng.random(n)[:, None] > chances.cumsum(axis=1)).sum(axis=1).clip(0, actions - 1)
    y = 1.0 + 0.5 * action + x @ [1.0, -0.5] + 0.3 * action * x[:, 1] + rng.standard_normal(n)
    wanted = np.exp(np.linspace(0.0, 1.0, actions) + 0.5 * x[:, 1:] * tilt)
    wanted /= wanted.sum(axis=1, keepdims=True)
    return Data(
        n=n,
        y=y,
        covariates=x,
        propensity_covariates=x,
        pscore=chances[np.arange(n), action],
        action=action.astype(np.int64),
        action_labels=tuple(f"a{place}" for place in range(actions)),
        target_policy=wanted if policy else np.empty((n, 0)),
        row_key=row_keys(x, action, y),
        names={**names_for(x), "target_policy": tuple(f"p_a{place}" for place in range(actions)) if policy else ()},
    )


def proxied(n: int = 1500, seed: int = 9, *, z: int = 2, w: int = 1, strength: float = 1.0) -> Data:
    """An unmeasured confounder with proxies of the treatment and of the outcome; the effect is `EFFECT`."""
    rng = np.random.default_rng(seed)
    x, u = rng.standard_normal((n, 2)), rng.standard_normal(n)
    t = (rng.random(n) < 1 / (1 + np.exp(-(0.5 * x[:, 0] + u)))).astype(float)
    tells = strength * u[:, None] + 0.3 * x[:, :1]
    proxy_treatment = tells + 0.5 * t[:, None] + rng.standard_normal((n, z))
    proxy_outcome = tells + rng.standard_normal((n, w))
    y = EFFECT * t + x @ [1.0, -1.0] + 1.5 * u + rng.standard_normal(n) * (1 + 0.5 * t)
    return Data(
        n=n,
        y=y,
        treatment=t,
        treatment_kind="binary",
        covariates=x,
        propensity_covariates=x,
        proxy_treatment=proxy_treatment,
        proxy_outcome=proxy_outcome,
        row_key=row_keys(x, t, y),
        names={
            **names_for(x),
            "proxy_treatment": tuple(f"z{column}" for column in range(z)),
            "proxy_outcome": tuple(f"w{column}" for column in range(w)),
        },
    )


def two_populations(n: int = 1600, seed: int = 10, *, shift: float = 0.7) -> Data:
    """A trial in a source and covariates alone in a target, whose units are moved by `shift`.

    The mean effect in the target is `EFFECT`; in the source it is less.
    """
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((n, 2))
    source = (rng.random(n) < 1 / (1 + np.exp(shift * u[:, 0] - 0.3 * u[:, 1]))).astype(float)
    t = (rng.random(n) < 1 / (1 + np.exp(-0.4 * u[:, 1]))).astype(float)
    y = 1.0 + u @ [1.0, -0.5] + (1.0 + 0.8 * u[:, 0]) * t + rng.standard_normal(n) * (1 + 0.3 * t)
    outside = source == 0
    x = u * [2.0, 30.0] + [5.0, 100.0]
    return Data(
        n=n,
        y=np.where(outside, np.nan, y),
        treatment=np.where(outside, np.nan, t),
        treatment_kind="binary",
        covariates=x,
        propensity_covariates=x,
        in_source=source,
        row_key=row_keys(x),
        names=names_for(x),
    )


def mediated(
    n: int = 1200,
    seed: int = 12,
    *,
    mediators: int = 1,
    product: float = 0.0,
    confounding: float = 0.0,
    continuous: bool = False,
) -> Data:
    """A treatment that moves the outcome by 1, and by 0.5 times 0.8 more through each mediator.

    `product` is what a mediator does more in the treated; `confounding` correlates its error with the outcome's.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    lean = 0.6 * x[:, 0] - 0.3 * x[:, 1]
    t = lean + rng.standard_normal(n) if continuous else (rng.random(n) < 1 / (1 + np.exp(-lean))).astype(float)
    hidden = rng.standard_normal(n)
    own, left = rng.standard_normal((n, mediators)), np.sqrt(1 - confounding**2)
    m = 0.5 * t[:, None] + 0.4 * x[:, :1] + 0.2 + own
    y = 1.0 + t + m @ np.full(mediators, 0.8) + product * t * m[:, 0] + x @ [1.0, -0.5]
    y += confounding * own[:, 0] + left * hidden
    x = x * [2.0, 30.0] + [5.0, 100.0]
    return Data(
        n=n,
        y=y,
        treatment=t,
        treatment_kind="continuous" if continuous else "binary",
        covariates=x,
        propensity_covariates=x,
        mediators=m,
        row_key=row_keys(x, t, y),
        names={**names_for(x), "mediator": tuple(f"m{column}" for column in range(mediators))},
    )


def dosed(n: int = 1000, seed: int = 14, *, curve: Callable[[Vector], Vector] = np.sin, tied: float = 0.5) -> Data:
    """A dose that the first covariate moves by `tied`, and outcomes whose mean by dose is `curve`."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    t = tied * x[:, 0] + 0.3 * x[:, 1] + rng.standard_normal(n)
    y = curve(t) + x @ [1.0, -0.5] + 0.3 * t * x[:, 1] + rng.standard_normal(n)
    x = x * [2.0, 30.0] + [5.0, 100.0]
    return Data(
        n=n,
        y=y,
        treatment=t,
        treatment_kind="continuous",
        covariates=x,
        propensity_covariates=x,
        row_key=row_keys(x, t, y),
        names=names_for(x),
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


def connected(
    n: int = 500, seed: int = 15, *, degree: int = 3, share: float = 0.3, spill: float = 1.0, measured: bool = False
) -> Data:
    """A random network with independent treatments; `EFFECT` on oneself and `spill` from any treated neighbour.

    Measured, the exposure is the share of treated neighbours, and both depend on covariates.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    lean = np.log(share / (1 - share)) + (0.5 * x[:, 0] if measured else 0.0)
    t = (rng.random(n) < 1 / (1 + np.exp(-lean))).astype(float)
    half = rng.integers(0, n, (n * degree // 2, 2))
    half = half[half[:, 0] != half[:, 1]]
    edges = np.unique(np.concatenate([half, half[:, ::-1]]), axis=0)
    hits, size = np.bincount(edges[:, 0], t[edges[:, 1]], n), np.bincount(edges[:, 0], minlength=n)
    part = hits / np.maximum(size, 1)
    if measured:
        part = (rng.random(n) < 1 / (1 + np.exp(0.2 - 0.6 * x[:, 1] - 0.3 * t))) * rng.uniform(0.1, 1.0, n)
    y = 1.0 + EFFECT * t + spill * (part > 0) + x @ [1.0, -0.5] + 0.5 * t * (part > 0) + rng.standard_normal(n)
    covariates = x if measured else np.empty((n, 0))
    return Data(
        n=n,
        y=y,
        treatment=t,
        treatment_kind="binary",
        covariates=covariates,
        propensity_covariates=covariates,
        pscore=None if measured else np.full(n, share),
        neighbor_exposure=part if measured else None,
        edges=None if measured else edges,
        row_key=row_keys(x, t, y),
        names={**names_for(covariates), "neighbor_exposure": ("near",)},
    )


def placed(n: int = 700, seed: int = 16, *, reach: float = 20.0, binary: bool = True) -> Data:
    """Places whose treatments and errors both come in patches of some kilometres; the effect is `EFFECT`."""
    rng = np.random.default_rng(seed)
    location = np.column_stack([rng.uniform(35.0, 39.0, n), rng.uniform(136.0, 141.0, n)])
    centres = np.column_stack([rng.uniform(34.8, 39.2, 600), rng.uniform(135.8, 141.2, 600)])
    east = np.cos(np.radians(37.0))
    flat, middle = location * [111.2, 111.2 * east], centres * [111.2, 111.2 * east]
    apart = np.square(flat).sum(axis=1)[:, None] + np.square(middle).sum(axis=1) - 2 * flat @ middle.T
    near = np.exp(-apart / (2 * (reach / 2) ** 2))
    near /= np.sqrt(np.square(near).sum(axis=1, keepdims=True))
    field, error = near @ rng.standard_normal(600), near @ rng.standard_normal(600)
    t = field + 0.3 * rng.standard_normal(n)
    t = (t > 0).astype(float) if binary else t
    x = rng.standard_normal((n, 2))
    y = 1.0 + EFFECT * t + x @ [1.0, -0.5] + error + 0.5 * rng.standard_normal(n)
    return Data(
        n=n,
        y=y,
        treatment=t,
        treatment_kind="binary" if binary else "continuous",
        covariates=x,
        propensity_covariates=x,
        location=location,
        row_key=row_keys(x, t, y),
        names=names_for(x),
    )


def design_for(estimator: Estimator, seed: int = 5) -> Data:
    """Data to which an estimator applies."""
    if estimator.family == "transport":
        return two_populations(seed=seed)
    if estimator.family == "dose_response":
        return dosed(seed=seed)
    if estimator.family == "mediation":
        return mediated(seed=seed)
    if estimator.family == "proximal":
        return proxied(seed=seed)
    if estimator.family == "off_policy":
        return logged(seed=seed)
    if "running" in estimator.requires:
        return discontinuity(seed=seed, fuzzy="treatment" in estimator.requires)
    if estimator.name == "iv_wald":
        return instrumented(seed=seed, covariates=False)
    if "instrument" in estimator.requires:
        return instrumented(seed=seed, m=2)
    if estimator.family == "did_staggered":
        return panel(seed=seed, staggered=True)
    if estimator.family == "interrupted_series":
        return series(seed=seed, units=3)
    if estimator.family == "synthetic_control":
        return factor_panel(seed=seed)
    if estimator.family == "interference":
        return placed(seed=seed) if "latitude" in estimator.requires else connected(seed=seed, measured=True)
    if estimator.family == "panel_matching":
        return switching(seed=seed)
    if "unit_id" in estimator.requires:
        return panel(seed=seed)
    if "post" in estimator.requires:
        return two_periods(seed=seed)
    return cross_section(seed=seed, weights="weights" in estimator.optional)


def rows(data: Data, index: NDArray[np.intp]) -> Data:
    """The data of some rows, in the order given, any of them several times."""
    return data.rows(index)


def with_covariates(data: Data, x: Matrix) -> Data:
    """The data with other covariates, for outcome and treatment alike."""
    labels = tuple(f"x{column}" for column in range(x.shape[1]))
    names = {**data.names, "covariates": labels, "propensity_covariates": labels}
    return replace(data, covariates=x, propensity_covariates=x, names=names)


def with_treatment(data: Data, change: Callable[[Vector], Vector]) -> Data:
    """The data with a transformed treatment."""
    assert data.treatment is not None
    return replace(data, treatment=change(data.treatment))


def settings(**changes: object) -> Settings:
    """The default settings but for some."""
    return Settings(**changes)
