"""Series regression: the effect by linear regressions on the covariates, their powers and their products.

A check of estimates that are linear in the covariates, not an entry of the catalog. Terms are chosen by their partial
correlation with the treatment given the covariates, never by the outcome, so that the choice leaves the distribution of
the estimate given covariates and treatment as it is (Imbens and Rubin 2015, chapter 13, on powers and products; Newey
1997, doi 10.1016/S0304-4076(97)00011-0, on series regressions). A term that has nothing to do with the treatment cannot
confound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.least_squares import focus
from cqox.estimators.nuisance.arm_regressions import mean_columns
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.numerics.blocked_matmul import cross, squares
from cqox.estimators.numerics.frame import Frame, build_frame
from cqox.estimators.numerics.gram import solve
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["SeriesEffect", "Target", "series_effect"]

type Target = Literal["ATE", "ATT", "ATC", "one effect"]
"""The population of the effect by arm regressions, or the coefficient of the treatment in one regression."""

_ROWS = 20_000
_MOST_TERMS = 60
_CROSSED = 12
"""Covariates whose products are candidates, those most related to the treatment."""

_POWERS_OF = 40
_PER_COEFFICIENT = 4
"""Rows of the smaller arm, or of all in one regression, for each coefficient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesEffect:
    """The effect by series regressions.

    Attributes:
        value: in units of y.
        contributions: (total,) of the rows of the data, 0 for rows not used.
        change: the value less the effect by the same regressions without powers and products, in the same rows.
        of_change: (total,) contributions to the change given covariates and treatment, which has mean 0 where the
            outcome is linear in the covariates.
        degrees: of freedom of the residuals.
        rows: rows used.
        terms: labels of the powers and products.
    """

    value: float
    contributions: Vector
    change: float
    of_change: Vector
    degrees: int
    rows: int
    terms: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Fitted:
    """Sums over the regressions: effect and change, and the (n,) contributions to both."""

    value: float = 0.0
    change: float = 0.0
    contributions: Vector
    of_change: Vector
    coefficients: int = 0


def series_effect(plan: Plan, target: Target) -> SeriesEffect:
    """Return the effect by series regressions, of at most 20,000 rows.

    Raises:
        UnusableData: no covariate has powers or products, or there are too few rows for them.
    """
    effects = plan.data.fixed_effects if target == "one effect" else ()
    if not plan.has("covariates"):
        raise UnusableData(Message("adjustment.series-needs-covariates"))
    sample = plan.adjustment_sample() if effects else plan.outcome_sample()
    some = _some_rows(plan, sample)
    if target != "one effect":
        # The arms one after the other, so that each is a slice of every array.
        some = some[np.argsort(plan.treated(sample)[some], kind="stable")]
    base = plan.frame("xty", sample)
    x = base.matrix[1 : base.at["x"].stop, some]
    t = base.matrix[base.column("t"), some]
    treated = plan.treated(sample)[some]
    untreated = len(t) - int(treated.sum())
    smaller = len(t) if target == "one effect" else min(untreated, len(t) - untreated)
    most = min(_MOST_TERMS, smaller // _PER_COEFFICIENT - len(x) - 1)
    columns, labels = _with_terms(x, t, base.labels[1 : base.at["x"].stop], most)
    rows = some if sample.index is None else sample.index[some]
    frame = build_frame(
        Sample(total=len(t), n=len(t), index=None),
        {
            "x": (columns.T, (*base.labels[1 : base.at["x"].stop], *labels)),
            "t": (treated[:, None], plan.labels("treatment")),
            "y": (plan.data.y[rows][:, None], plan.labels("y")),
        },
        weights=None if plan.data.weights is None else plan.data.weights[rows],
        block=plan.settings.chunk_rows, threads=plan.settings.threads,
        effects=[compress(codes[rows])[0] for codes in effects],
        within=None if target == "one effect" else (treated.astype(np.uint8), 2),
    )  # fmt: skip
    fitted = _one_effect(frame, len(x)) if target == "one effect" else _by_arms(frame, len(x), untreated, target)
    return SeriesEffect(
        value=fitted.value, contributions=_scattered(fitted.contributions, rows, plan.data.n), change=fitted.change,
        of_change=_scattered(fitted.of_change, rows, plan.data.n), degrees=len(rows) - fitted.coefficients,
        rows=len(rows), terms=labels,
    )  # fmt: skip


def _scattered(values: Vector, rows: NDArray[np.intp], total: int) -> Vector:
    full = np.zeros(total)
    full[rows] = values
    return full


def _some_rows(plan: Plan, sample: Sample) -> NDArray[np.intp]:
    """Return the positions in the sample of the rows to use: those of the lowest hashes where there are many."""
    if sample.n <= _ROWS:
        return np.arange(sample.n)
    keys = sample.take(plan.data.row_key)
    return np.flatnonzero(keys <= np.partition(keys, _ROWS)[_ROWS])


def _with_terms(x: Matrix, t: Vector, labels: Sequence[str], most: int) -> tuple[Matrix, tuple[str, ...]]:
    """Return the (p + k, n) covariates and those powers and products that are most related to the treatment given them.

    Args:
        x: (p, n) covariates, standardised.
        t: (n,) the treatment.
        labels: of the covariates.
        most: number of terms.

    Raises:
        UnusableData: there are none, or not enough rows for one.
    """
    amounts = [at for at, column in enumerate(x) if _has_powers(column)][:_POWERS_OF]
    related = np.argsort(-np.abs(_partial_correlations(x[:0], x, t)), kind="stable")[:_CROSSED]
    pairs = list(combinations(sorted(related.tolist()), 2))
    names = [f"{labels[at]}^{power}" for at in amounts for power in (2, 3)]
    names += [f"{labels[one]}*{labels[other]}" for one, other in pairs]
    if not names or most < 1:
        raise UnusableData(Message("adjustment.series-no-terms"))
    columns = np.empty((len(x) + len(names), len(t)))
    columns[: len(x)] = x
    terms = columns[len(x) :]
    for at, square, cube in zip(amounts, terms[::2], terms[1::2], strict=False):
        np.multiply(x[at], x[at], out=square)
        np.multiply(square, x[at], out=cube)
    for (one, other), product in zip(pairs, terms[2 * len(amounts) :], strict=True):
        np.multiply(x[one], x[other], out=product)
    relation = np.abs(_partial_correlations(x, terms, t))
    chosen = np.sort(np.argsort(-relation, kind="stable")[:most])
    chosen = chosen[relation[chosen] > 0]
    if not len(chosen):
        raise UnusableData(Message("adjustment.series-no-terms"))
    if len(chosen) < len(names):
        columns = columns[np.concatenate([np.arange(len(x)), len(x) + chosen])]
    return columns, tuple(names[at] for at in chosen)


def _has_powers(column: Vector) -> bool:
    """Return whether a column has more than two values."""
    low, high = column.min(), column.max()
    return bool(np.any((column > low + 1e-9) & (column < high - 1e-9)))


def _partial_correlations(given: Matrix, columns: Matrix, t: Vector) -> Vector:
    """Return the (k,) correlations of columns with the treatment, both less their regression on a constant and `given`;
    0 for collinear columns."""
    known = np.concatenate([np.ones((1, len(t))), given, t[None]])
    own, products = squares(known), cross(known, columns)
    fit = solve(own[:-1, :-1], np.column_stack([products[:-1], own[:-1, -1]])).coefficients
    whole = np.einsum("ij,ij->i", columns, columns)
    left = whole - np.einsum("ij,ij->j", products[:-1], fit[:, :-1])
    of_treatment = own[-1, -1] - own[-1, :-1] @ fit[:, -1]
    common = products[-1] - own[-1, :-1] @ fit[:, :-1]
    used = left > 1e-8 * np.maximum(whole, 1e-300)
    scale = np.sqrt(np.where(used, left, 1.0) * of_treatment)
    return np.where(used, common / np.maximum(scale, 1e-300), 0.0)


def _by_arms(frame: Frame, covariates: int, untreated: int, target: Target) -> _Fitted:
    """Return the mean difference of two regressions' predictions over the target.

    Args:
        frame: the rows of the untreated arm, then those of the treated.
        covariates: number of covariates.
        untreated: rows of the untreated arm.
        target: the population.

    Raises:
        UnusableData: an arm has no more rows than coefficients.
    """
    assert frame.grouped is not None
    products, counts = frame.grouped
    k = frame.at["x"].stop
    arms = {-1.0: slice(untreated), 1.0: slice(untreated, None)}
    over = None if target == "ATE" else np.zeros(frame.n)
    if over is not None:
        over[arms[1.0 if target == "ATT" else -1.0]] = 1.0
    mean = mean_columns(frame, over)
    fitted = _Fitted(contributions=np.zeros(frame.n), of_change=np.zeros(frame.n))
    difference = np.zeros(k)
    for arm, (sign, rows) in enumerate(arms.items()):
        if counts[arm] <= k:
            raise UnusableData(Message("adjustment.series-no-terms"))
        own = _Regression(
            x=frame.matrix[:k, rows], y=frame.matrix[frame.column("y"), rows],
            weights=None if frame.weights is None else frame.weights[rows],
            products=products[arm, :k, :k], of_y=products[arm, :k, frame.column("y")],
        )  # fmt: skip
        difference += sign * _add(fitted, own, 1 + covariates, sign * mean, float(frame.scale[frame.column("y")]), rows)
    share = np.ones(frame.n) if over is None else over
    share = share if frame.weights is None else share * frame.weights
    effects = difference @ frame.matrix[:k]
    fitted.contributions += share * (effects - fitted.value) / share.sum()
    return fitted


def _one_effect(frame: Frame, covariates: int) -> _Fitted:
    """Return the coefficient of the treatment in one regression.

    Raises:
        UnusableData: the treatment is collinear with the powers and products.
    """
    regressors = focus(frame, "t", Message("inference.the-treatment"))
    first = 0 if frame.absorbed is None else 1
    # The treatment comes first, so that the regression without terms uses the first columns.
    columns = np.concatenate(
        [regressors[: 1 + covariates - first], regressors[-1:], regressors[1 + covariates - first : -1]]
    )
    contrast = np.zeros(len(columns))
    contrast[1 + covariates - first] = 1.0 / frame.scale[frame.column("t")]
    fitted = _Fitted(contributions=np.zeros(frame.n), of_change=np.zeros(frame.n))
    y = frame.column("y")
    whole = _Regression(
        x=frame.matrix[columns], y=frame.matrix[y], weights=frame.weights,
        products=frame.products[np.ix_(columns, columns)], of_y=frame.products[columns, y],
    )  # fmt: skip
    _add(fitted, whole, 2 + covariates - first, contrast, float(frame.scale[y]), slice(None))
    fitted.coefficients += 0 if frame.absorbed is None else frame.absorbed.degrees
    return fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regression:
    """The standardised columns of one regression and their cross-products.

    Attributes:
        x: (k, n) regressors, those of the regression without terms first.
        y: (n,) outcome.
        weights: (n,) sampling weights.
        products, of_y: (k, k) and (k,) cross-products of the regressors, and with the outcome.
    """

    x: Matrix
    y: Vector
    weights: Vector | None
    products: Matrix
    of_y: Vector


def _add(fitted: _Fitted, regression: _Regression, short: int, contrast: Vector, scale: float, rows: slice) -> Vector:
    """Add one regression with and without terms; return its (k,) coefficients in units of y.

    Residuals are those with terms, over the root of one less their leverage (HC2), for the change over one less their
    leverage (HC3): with few rows a test by HC2 rejects too often.

    Args:
        fitted: the sums.
        regression: the columns.
        short: number of regressors of the regression without terms.
        contrast: (k,) weights of the coefficients, the columns being standardised.
        scale: of the outcome.
        rows: its rows in the sums.
    """
    x = regression.x
    whole = solve(regression.products, regression.of_y[:, None])
    linear = solve(regression.products[:short, :short], regression.of_y[:short, None])
    coefficients = whole.coefficients[:, 0]
    directions = np.zeros((3, len(x)))
    directions[0], directions[1] = coefficients, whole.inverse @ contrast
    directions[2, :short] = linear.inverse @ contrast[:short]
    fit, direction, of_linear = directions @ x
    weights = 1.0 if regression.weights is None else regression.weights
    leverage = np.einsum("ij,ij->j", whole.inverse @ x, x) * weights
    rest = 1.0 - np.minimum(leverage, 0.99)
    residuals = (regression.y - fit) * (weights * scale / np.sqrt(rest))
    fitted.contributions[rows] += residuals * direction
    fitted.of_change[rows] += residuals / np.sqrt(rest) * (direction - of_linear)
    value = float(contrast @ coefficients) * scale
    fitted.value += value
    fitted.change += value - float(contrast[:short] @ linear.coefficients[:, 0]) * scale
    fitted.coefficients += len(whole.kept)
    return coefficients * scale
