"""Units seen once: confounded, instrumented, dosed, mediated, proxied, transported or logged."""

from collections.abc import Callable

import numpy as np

from cqox.estimators import Data, Vector
from tests.estimators.designs._describing import EFFECT, names_for, row_keys


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
    proxies = strength * u[:, None] + 0.3 * x[:, :1]
    proxy_treatment = proxies + 0.5 * t[:, None] + rng.standard_normal((n, z))
    proxy_outcome = proxies + rng.standard_normal((n, w))
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
