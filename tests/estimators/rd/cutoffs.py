"""Answers of the estimators at a cutoff, and data for them."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import discontinuity

__all__ = ["ENTRIES", "SCORES", "answer", "bare", "clustered", "refused", "same", "scored"]


ENTRIES = {entry.name: entry for entry in catalog() if entry.family == "discontinuity"}


def answer(data: Data, name: str = "rd_local_linear", **settings: object) -> Estimate:
    result = run(ENTRIES[name], Plan(data, Settings(**settings)))
    assert result.status in ("ok", "warning"), result.reason
    return result


def refused(data: Data, name: str = "rd_local_linear") -> str:
    result = run(ENTRIES[name], Plan(data, Settings()))
    assert result.status == "skipped"
    return str(result.reason)


def bare(**changes: object) -> Data:
    return discontinuity(covariates=False, **changes)


def same(left: Estimate, right: Estimate, *, factor: float = 1.0, rtol: float = 1e-9) -> None:
    assert right.estimate == pytest.approx(factor * left.estimate, rel=rtol)
    assert right.standard_error == pytest.approx(abs(factor) * left.standard_error, rel=rtol)
    assert right.p_value == pytest.approx(left.p_value, rel=1e-5, abs=1e-12)


SCORES = {
    "plain": lambda rng, n: rng.normal(0.3, 2, n),
    "far to one side": lambda rng, n: rng.exponential(2, n) - 0.2,
    "uniform": lambda rng, n: rng.uniform(-1, 3, n),
    "heavy tails": lambda rng, n: rng.standard_t(2, n),
    "some ties": lambda rng, n: np.round(rng.normal(0.3, 2, n), 2),
    "mass points": lambda rng, n: np.round(rng.normal(0.3, 2, n), 1),
    "whole numbers": lambda rng, n: np.round(rng.normal(0.3, 20, n)),
    "heaped at tens": lambda rng, n: np.where(rng.random(n) < 0.3, np.round(v := rng.normal(3, 20, n), -1), v),
}


def scored(kind: str, n: int, seed: int, cutoff: float) -> Data:
    rng = np.random.default_rng(seed)
    score = SCORES[kind](rng, n)
    y = np.sin(score / score.std()) + (score >= cutoff) * 0.7 + rng.standard_normal(n) * 0.5
    return Data(
        n=n, y=y, running=score, cutoff=cutoff, row_key=np.arange(n, dtype=np.uint64),
        names={"y": ("y",), "running": ("score",)},
    )  # fmt: skip


def clustered(*, nested: bool, covariates: bool = False) -> Data:
    data = discontinuity(1200, covariates=covariates)
    codes = np.random.default_rng(3).integers(0, 60, data.n)
    if nested:
        codes = codes + 60 * (data.running >= data.cutoff)
    return replace(data, clusters=(codes,))
