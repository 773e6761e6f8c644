"""Units that have to do with one another: a network, and places."""

import numpy as np

from cqox.estimators import Data
from tests.estimators.designs._describing import EFFECT, names_for, row_keys


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
