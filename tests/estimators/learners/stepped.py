"""An effect that steps with one covariate, for forests."""

import numpy as np

from cqox.estimators import Data
from tests.estimators.designs import names_for, row_keys


def stepped(n: int = 1500, seed: int = 1, *, step: float = 2.0) -> Data:
    """An effect of 1, and `step` more where the first of five covariates is positive; the average is 1 + step / 2."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 5))
    t = (rng.random(n) < 1 / (1 + np.exp(-0.7 * x[:, 1]))).astype(float)
    y = x[:, 1] + np.abs(x[:, 2]) + (1 + step * (x[:, 0] > 0)) * t + rng.standard_normal(n)
    return Data(
        n=n, y=y, treatment=t, treatment_kind="binary", covariates=x, propensity_covariates=x,
        row_key=row_keys(x, t, y), names=names_for(x),
    )  # fmt: skip
