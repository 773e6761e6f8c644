"""Series regression: the effect by linear regressions on the covariates, their powers and their products.

A check of estimates that are linear in the covariates, not an entry of the catalog. Terms are chosen by their partial
correlation with the treatment given the covariates, never by the outcome, so that the choice leaves the distribution of
the estimate given covariates and treatment as it is (Imbens and Rubin 2015, chapter 13, on powers and products; Newey
1997, doi 10.1016/S0304-4076(97)00011-0, on series regressions). A term that has nothing to do with the treatment cannot
confound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
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
from cqox.estimators.numerics.frame import Frame, build_frame
from cqox.estimators.numerics.gram import grouped_gram, solve
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
    base = plan.frame("xty", sample)
    x = base.matrix[1 : base.at["x"].stop, some]
    t = base.matrix[base.column("t"), some]
    treated = plan.treated(sample)[some]
    smaller = len(t) if target == "one effect" else int(min(treated.sum(), len(t) - treated.sum()))
    most = min(_MOST_TERMS, smaller // _PER_COEFFICIENT - len(x) - 1)
    terms, labels = _terms(x, t, base.labels[1 : base.at["x"].stop], most)
    rows = np.arange(plan.data.n)[some] if sample.index is None else sample.index[some]
    frame = build_frame(
        Sample(total=len(t), n=len(t), index=None),
        {
            "x": (np.concatenate([x, terms]).T, (*base.labels[1 : base.at["x"].stop], *labels)),
            "t": (treated[:, None], plan.labels("treatment")),
            "y": (plan.data.y[rows][:, None], plan.labels("y")),
        },
        weights=None if plan.data.weights is None else plan.data.weights[rows],
        block=plan.settings.chunk_rows, threads=plan.settings.threads,
        effects=[compress(codes[rows])[0] for codes in effects],
    )  # fmt: skip
    fitted = _one_effect(frame, len(x)) if target == "one effect" else _by_arms(frame, len(x), treated, target)
    return SeriesEffect(
        value=fitted.value, contributions=_scattered(fitted.contributions, rows, plan.data.n), change=fitted.change,
        of_change=_scattered(fitted.of_change, rows, plan.data.n), degrees=len(rows) - fitted.coefficients,
        rows=len(rows), terms=labels,
    )  # fmt: skip


def _scattered(values: Vector, rows: NDArray[np.intp], total: int) -> Vector:
    full = np.zeros(total)
    full[rows] = values
    return full


def _some_rows(plan: Plan, sample: Sample) -> NDArray[np.intp] | slice:
    """Return the rows of the sample to use: those of the lowest hashes where there are many."""
    if sample.n <= _ROWS:
        return slice(None)
    keys = sample.take(plan.data.row_key)
    return np.flatnonzero(keys <= np.partition(keys, _ROWS)[_ROWS])


def _terms(x: Matrix, t: Vector, labels: Sequence[str], most: int) -> tuple[Matrix, tuple[str, ...]]:
    """Return the (k, n) powers and products that are most related to the treatment given the covariates.

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
    makers = [(f"{labels[at]}^{power}", partial(_power, x[at], power)) for at in amounts for power in (2, 3)]
    makers += [
        (f"{labels[one]}*{labels[other]}", partial(np.multiply, x[one], x[other]))
        for one, other in combinations(sorted(related.tolist()), 2)
    ]
    if not makers or most < 1:
        raise UnusableData(Message("adjustment.series-no-terms"))
    found = np.stack([make() for _, make in makers])
    relation = np.abs(_partial_correlations(x, found, t))
    chosen = np.sort(np.argsort(-relation, kind="stable")[:most])
    chosen = chosen[relation[chosen] > 0]
    if not len(chosen):
        raise UnusableData(Message("adjustment.series-no-terms"))
    return found[chosen], tuple(makers[at][0] for at in chosen)


def _power(column: Vector, power: int) -> Vector:
    square = column * column
    return square if power == 2 else square * column


def _has_powers(column: Vector) -> bool:
    """Return whether a column has more than two values."""
    low, high = column.min(), column.max()
    return bool(np.any((column > low + 1e-9) & (column < high - 1e-9)))


def _partial_correlations(given: Matrix, columns: Matrix, t: Vector) -> Vector:
    """Return the (k,) correlations of columns with the treatment, both less their regression on a constant and `given`;
    0 for collinear columns."""
    both = np.concatenate([np.ones((1, len(t))), given, columns, t[None]])
    products = both @ both.T
    k = 1 + len(given)
    fit = solve(products[:k, :k], products[:k, k:])
    rest = products[k:, k:] - products[k:, :k] @ fit.coefficients
    squares = np.diag(rest)
    used = squares > 1e-8 * np.maximum(np.diag(products)[k:], 1e-300)
    scale = np.sqrt(np.where(used, squares, 1.0) * squares[-1])
    return np.where(used, rest[:, -1] / np.maximum(scale, 1e-300), 0.0)[:-1]


def _by_arms(frame: Frame, covariates: int, treated: Vector, target: Target) -> _Fitted:
    """Return the mean difference of two regressions' predictions over the target.

    Raises:
        UnusableData: an arm has no more rows than coefficients.
    """
    products, counts = grouped_gram(frame.rows, frame.matrix, frame.weights, treated.astype(np.uint8), 2)
    columns = np.arange(frame.at["x"].stop)
    over = {"ATE": None, "ATT": treated, "ATC": 1.0 - treated}[target]
    mean = mean_columns(frame, over)
    fitted = _Fitted(contributions=np.zeros(frame.n), of_change=np.zeros(frame.n))
    effects = np.zeros(frame.n)
    for arm, sign in ((0, -1.0), (1, 1.0)):
        rows = np.flatnonzero(treated == arm)
        if len(rows) <= len(columns) or counts[arm] == 0:
            raise UnusableData(Message("adjustment.series-no-terms"))
        effects += _add(fitted, frame, products[arm], columns, 1 + covariates, sign * mean, rows)
    share = np.ones(frame.n) if over is None else over
    share = share if frame.weights is None else share * frame.weights
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
    _add(fitted, frame, frame.products, columns, 2 + covariates - first, contrast, np.arange(frame.n))
    fitted.coefficients += 0 if frame.absorbed is None else frame.absorbed.degrees
    return fitted


def _add(
    fitted: _Fitted, frame: Frame, products: Matrix, columns: NDArray[np.intp], short: int, contrast: Vector,
    rows: NDArray[np.intp],
) -> Vector:  # fmt: skip
    """Add one regression with and without terms; return the (n,) predictions of all rows, signed as the contrast.

    Residuals are those with terms, over the root of one less their leverage (HC2), for the change over one less their
    leverage (HC3): with few rows a test by HC2 rejects too often.

    Args:
        fitted: the sums.
        frame: the columns.
        products: (m, m) cross-products of the rows of this regression.
        columns: (k,) positions of the regressors, those of the regression without terms first.
        short: number of those.
        contrast: (k,) weights of the coefficients, the columns being standardised.
        rows: (n_r,) positions of the rows.
    """
    y = frame.column("y")
    scale, inside = float(frame.scale[y]), products[np.ix_(columns, columns)]
    whole = solve(inside, products[columns, y][:, None])
    linear = solve(inside[:short, :short], products[columns[:short], y][:, None])
    own = frame.matrix[np.ix_(columns, rows)]
    weights = 1.0 if frame.weights is None else frame.weights[rows]
    leverage = np.einsum("ij,ij->j", whole.inverse @ own, own) * weights
    residuals = frame.matrix[y, rows] - whole.coefficients[:, 0] @ own
    rest = 1.0 - np.minimum(leverage, 0.99)
    residuals *= weights * scale / np.sqrt(rest)
    direction = (whole.inverse @ contrast) @ own
    fitted.contributions[rows] += residuals * direction
    of_linear = (linear.inverse @ contrast[:short]) @ own[:short]
    fitted.of_change[rows] += residuals / np.sqrt(rest) * (direction - of_linear)
    value = float(contrast @ whole.coefficients[:, 0]) * scale
    fitted.value += value
    fitted.change += value - float(contrast[:short] @ linear.coefficients[:, 0]) * scale
    fitted.coefficients += len(whole.kept)
    sign = np.sign(contrast[0]) if contrast[0] else 1.0
    return np.asarray(sign * scale * (whole.coefficients[:, 0] @ frame.matrix[columns]))
