"""The same algebra in plain numpy, as a lower bound: estimators without roles, checks, tests and contract.

One thread, 16,384 rows at a time, without support for weights, clusters, missing values or collinear columns. Each
returns the effect and its standard error; x is (n, p), the rest (n,).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

type Array = NDArray[np.float64]
_ROWS = 16_384
_FOLDS = 5


def ols_hc1(x: Array, t: Array, y: Array) -> tuple[float, float]:
    """Least squares of outcome on treatment and covariates with HC1."""
    p, moments = x.shape[1] + 2, 0.0
    for rows in _chunks(len(x)):
        block = _columns(x, rows, y[rows], t[rows])
        moments = moments + block.T @ block
    gram, right = moments[1:, 1:], moments[1:, 0]
    bread = np.linalg.inv(gram)
    beta, meat = bread @ right, 0.0
    for rows in _chunks(len(x)):
        design = _columns(x, rows, t[rows])
        scores = design * (y[rows] - design @ beta)[:, None]
        meat = meat + scores.T @ scores
    cover = bread @ meat @ bread * (len(x) / (len(x) - p))
    return float(beta[0]), float(np.sqrt(cover[0, 0]))


def two_stage(x: Array, t: Array, y: Array, z: Array) -> tuple[float, float]:
    """Two-stage least squares with robust errors; no Anderson-Rubin set."""
    moments = 0.0
    for rows in _chunks(len(x)):
        block = _columns(x, rows, y[rows], t[rows], z[rows])
        moments = moments + block.T @ block
    first = np.linalg.solve(moments[2:, 2:], moments[2:, 1])
    regressors = np.zeros((moments.shape[0] - 2,) * 2)  # instruments and covariates → fitted treatment and covariates
    regressors[:, 0] = first
    regressors[1:, 1:] = np.eye(moments.shape[0] - 3)
    kept = [1, *range(3, moments.shape[0])]
    cross = regressors.T @ moments[2:][:, kept]
    bread = np.linalg.inv(cross)
    beta, meat = bread @ (regressors.T @ moments[2:, 0]), 0.0
    for rows in _chunks(len(x)):
        outer = _columns(x, rows, z[rows])
        fitted = outer @ regressors
        design = _columns(x, rows, t[rows])
        scores = fitted * (y[rows] - design @ beta)[:, None]
        meat = meat + scores.T @ scores
    cover = bread @ meat @ bread.T
    return float(beta[0]), float(np.sqrt(cover[0, 0]))


def ipw(x: Array, t: Array, y: Array) -> tuple[float, float]:
    """Normalised inverse probability weighting; its standard error accounts for the estimated propensity."""
    beta, information = _logit(x, t, np.zeros(x.shape[1] + 1))
    sums = np.zeros(4)
    propensity = np.empty(len(x))
    for rows in _chunks(len(x)):
        e = propensity[rows] = _expit(_columns(x, rows) @ beta)
        one, zero = t[rows] / e, (1 - t[rows]) / (1 - e)
        sums += (one.sum(), one @ y[rows], zero.sum(), zero @ y[rows])
    above, below = sums[1] / sums[0], sums[3] / sums[2]
    contributions, slope = np.empty(len(x)), 0.0
    for rows in _chunks(len(x)):
        e = propensity[rows]
        one = t[rows] / e * (y[rows] - above) * len(x) / sums[0]
        zero = (1 - t[rows]) / (1 - e) * (y[rows] - below) * len(x) / sums[2]
        contributions[rows] = one - zero
        slope = slope - _columns(x, rows).T @ (one * (1 - e) + zero * e)
    correction = np.linalg.solve(information, slope)
    for rows in _chunks(len(x)):
        contributions[rows] += _columns(x, rows) @ correction * (t[rows] - propensity[rows])
    return float(above - below), float(np.sqrt(contributions @ contributions) / len(x))


def irm(x: Array, t: Array, y: Array) -> tuple[float, float]:
    """The interactive model, five folds, one Gram block per fold and arm, a Newton step or two per fold."""
    fold, p = np.arange(len(x)) % _FOLDS, x.shape[1] + 1
    grams = np.zeros((_FOLDS, 2, p + 1, p + 1))
    for rows in _chunks(len(x)):
        block, label = _columns(x, rows, y[rows]), fold[rows] * 2 + (t[rows] > 0)
        for at in range(2 * _FOLDS):
            part = block[label == at]
            grams[at // 2, at % 2] += part.T @ part
    others = grams.sum(axis=0) - grams
    arms = np.linalg.solve(others[:, :, 1:, 1:], others[:, :, 1:, :1])[..., 0]
    start, _ = _logit(x, t, np.zeros(p))
    logits = np.array([_logit(x, t, start, fold != each)[0] for each in range(_FOLDS)])
    scores = np.empty(len(x))
    for rows in _chunks(len(x)):
        design, own = _columns(x, rows), fold[rows]
        every = design @ np.concatenate([arms[:, 0], arms[:, 1], logits]).T
        place = np.arange(len(own))
        zero, one, index = (every[place, own + _FOLDS * part] for part in range(3))
        e = _expit(index).clip(0.01, 0.99)
        treated = t[rows] * (y[rows] - one) / e
        scores[rows] = one - zero + treated - (1 - t[rows]) * (y[rows] - zero) / (1 - e)
    value = scores.mean()
    return float(value), float(np.sqrt(((scores - value) ** 2).sum()) / len(x))


def decode_and_gram(file: Path) -> Array:
    """Return the sums of products of all columns of a Parquet file, of a constant too."""
    frame, moments = pl.read_parquet(file), np.zeros(())
    for rows in _chunks(frame.height):
        block = _columns(frame[rows].to_numpy(), slice(0, rows.stop - rows.start))
        moments = moments + block.T @ block
    return moments


def _logit(x: Array, t: Array, beta: Array, kept: NDArray[np.bool_] | None = None) -> tuple[Array, Array]:
    """Fit the propensity by Newton's method from a starting value; return it with the information matrix."""
    while True:
        gradient, information = np.zeros(len(beta)), np.zeros((len(beta), len(beta)))
        for rows in _chunks(len(x)):
            design, own = _columns(x, rows), t[rows]
            if kept is not None:
                design, own = design[kept[rows]], own[kept[rows]]
            e = _expit(design @ beta)
            gradient += design.T @ (own - e)
            root = design * np.sqrt(e * (1 - e))[:, None]
            information += root.T @ root
        if np.abs(gradient).max() <= 1e-10 * len(x):
            return beta, information
        beta = beta + np.linalg.solve(information, gradient)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(begin, min(begin + _ROWS, n)) for begin in range(0, n, _ROWS))


def _columns(x: Array, rows: slice, *first: Array) -> Array:
    """Stack the given columns, a constant and the covariates."""
    found = np.empty((rows.stop - rows.start, len(first) + 1 + x.shape[1]))
    for at, column in enumerate(first):
        found[:, at] = column
    found[:, len(first)] = 1.0
    found[:, len(first) + 1 :] = x[rows]
    return found


def _expit(index: Array) -> Array:
    return 1 / (1 + np.exp(-index))
