"""Linear outcome regressions by arm."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Matrix, Vector
from cqox.estimators.inference.small_arms import Carried
from cqox.estimators.numerics.frame import Crossed, Frame
from cqox.estimators.numerics.gram import solve
from cqox.estimators.numerics.row_blocks import Partial
from cqox.estimators.sample import ARMS, Sample, listed

__all__ = [
    "ArmFits",
    "ArmLines",
    "arm_contributions",
    "carried_by_arms",
    "contrast_of_arms",
    "effects_spread",
    "fit_arms",
    "lines_of_arms",
    "mean_columns",
    "weighted_arms",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFits:
    """Predictions of each arm's regression for every row.

    Attributes:
        control, treated: (n,) predictions by row of the data, in units of y, NaN for rows not used.
        sample: the rows used.
        notes: preprocessing of the columns, each a sentence.
        warnings: caveats about the predictions, each a sentence.
        frame: the columns.
        coefficients: (k, 2) of the control and of the treated arm, standardised.
        inverses: inverse cross-products of the arms' columns.
        parameters: number of coefficients of each arm.
        rows: number of rows of each arm.
    """

    control: Vector
    treated: Vector
    sample: Sample
    notes: tuple[Message, ...] = ()
    warnings: tuple[Message, ...] = ()
    frame: Frame
    coefficients: Matrix
    inverses: tuple[Matrix, Matrix]
    parameters: tuple[int, int]
    rows: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmLines:
    """The regressions of the arms by their coefficients.

    Attributes:
        coefficients: (k, 2) of the control and of the treated arm, standardised.
        inverses: inverse cross-products of the arms' columns.
        parameters: number of coefficients of each arm.
        warnings: caveats about the predictions, each a sentence.
    """

    coefficients: Matrix
    inverses: tuple[Matrix, Matrix]
    parameters: tuple[int, int]
    warnings: tuple[Message, ...]


def lines_of_arms(frame: Crossed, products: Matrix, rows: tuple[int, int]) -> ArmLines:
    """Solve the regressions of `y` on `x` from (2, m, m) cross-products of the arms.

    Raises:
        UnusableData: an arm has no more rows than coefficients.
    """
    k, y = frame.at["x"].stop, frame.column("y")
    fits = [solve(products[arm, :k, :k], products[arm, :k, [y]].T) for arm in (0, 1)]
    warnings = []
    for arm, fit in enumerate(fits):
        used = len(fit.kept)
        if rows[arm] <= used:
            raise UnusableData(Message("nuisance.arm-too-small", arm=ARMS[arm], rows=rows[arm], coefficients=used))
        lost = [frame.labels[column] for column in np.setdiff1d(np.arange(k), fit.kept)]
        if lost:
            warnings.append(Message("nuisance.arm-extrapolates", arm=ARMS[arm], columns=listed(lost)))
    return ArmLines(
        coefficients=np.column_stack([fit.coefficients[:, 0] for fit in fits]),
        inverses=(fits[0].inverse, fits[1].inverse),
        parameters=(len(fits[0].kept), len(fits[1].kept)),
        warnings=tuple(warnings),
    )


def fit_arms(frame: Frame, products: Matrix, rows: tuple[int, int]) -> ArmFits:
    """Fit the regressions of `y` on `x` from (2, m, m) cross-products of the arms, and predict every row.

    Raises:
        UnusableData: an arm has no more rows than coefficients.
    """
    k, y = frame.at["x"].stop, frame.column("y")
    lines = lines_of_arms(frame, products, rows)
    predictions = np.empty((2, frame.n))

    def work(s: slice) -> None:
        np.multiply(lines.coefficients.T @ frame.matrix[:k, s], frame.scale[y], out=predictions[:, s])
        predictions[:, s] += frame.centre[y]

    frame.rows.each(work)
    return ArmFits(
        control=frame.sample.scatter(predictions[0], np.nan),
        treated=frame.sample.scatter(predictions[1], np.nan),
        sample=frame.sample,
        notes=frame.notes,
        warnings=lines.warnings,
        frame=frame,
        coefficients=lines.coefficients,
        inverses=lines.inverses,
        parameters=lines.parameters,
        rows=rows,
    )


def mean_columns(frame: Frame, over: Vector | None) -> Vector:
    """Return the (k,) weighted mean of the columns `x` over some rows: all, or given as a (n,) share of each."""
    weight = frame.weights
    if over is not None:
        weight = over if weight is None else over * weight
    share = np.ones(frame.n) if weight is None else weight
    k = frame.at["x"].stop
    (total,) = frame.rows.total(lambda s: (frame.matrix[:k, s] @ share[s],))
    return np.asarray(total / total[0])


def contrast_of_arms(arms: ArmFits, mean: Vector) -> float:
    """Return the difference of the arms' predictions at a point of the standardised columns, in units of y."""
    scale = arms.frame.scale[arms.frame.column("y")]
    return float(mean @ (arms.coefficients[:, 1] - arms.coefficients[:, 0]) * scale)


def arm_contributions(
    arms: ArmFits, mean: Vector, treated: Vector, weights: Vector | None = None
) -> tuple[Vector, float]:
    """Return each row's contribution, through its arm's coefficients, to the contrast at a point.

    Args:
        arms: the regressions.
        mean: (k,) the point, standardised.
        treated: (n,) 0/1.
        weights: (n,) of the regressions; the sampling weights where None.

    Returns:
        The (n,) contributions in units of y, and the weighted sum of squared standardised residuals.
    """
    frame = arms.frame
    weights = frame.weights if weights is None else weights
    k, y = frame.at["x"].stop, frame.column("y")
    combine = np.zeros((4, len(frame.matrix)))
    for arm in (0, 1):
        combine[arm, :k] = -arms.coefficients[:, arm]
        combine[arm, y] = 1.0
        combine[2 + arm, :k] = (2 * arm - 1) * frame.scale[y] * (arms.inverses[arm] @ mean)
    parts = np.empty(frame.n)

    def work(s: slice) -> Partial:
        values = combine @ frame.matrix[:, s]
        own = treated[s] > 0
        residual = np.where(own, values[1], values[0])
        weighted = residual if weights is None else residual * weights[s]
        parts[s] = weighted * np.where(own, values[3], values[2])
        return (np.asarray(weighted @ residual),)

    (squares,) = frame.rows.total(work)
    return parts, float(squares)


def effects_spread(arms: ArmFits, value: float, over: Vector | None) -> Vector:
    """Return each row's contribution to the mean effect through the covariates over which effects are averaged.

    Args:
        arms: the regressions.
        value: the mean effect.
        over: (n,) share of each row in the population of the mean; None for all rows.
    """
    sample, weights = arms.sample, arms.frame.weights
    share = np.ones(sample.n) if over is None else over
    if weights is not None:
        share = share * weights
    effects = sample.take(arms.treated) - sample.take(arms.control)
    return np.asarray(share * (effects - value) / share.sum())


def carried_by_arms(
    arms: ArmFits,
    mean: Vector,
    treated: Vector,
    sparse: Sequence[bool],
    weights: Vector | None = None,
    own: Vector | None = None,
) -> list[Carried]:
    """Return what the residuals of the arms with few rows contribute to the contrast at a point.

    Args:
        arms: the regressions.
        mean: (k,) the point, standardised.
        treated: (n,) 0/1.
        sparse: by arm, whether it has few rows.
        weights: (n,) of the regressions; the sampling weights where None.
        own: (n,) loads of the rows' errors; those of the contrast where None.
    """
    frame = arms.frame
    weights = frame.weights if weights is None else weights
    k = frame.at["x"].stop
    found = []
    for arm in (0, 1):
        if not sparse[arm]:
            continue
        rows = treated > 0 if arm else treated <= 0
        x, w = frame.matrix[:k, rows], None if weights is None else weights[rows]
        loads = (arms.inverses[arm] @ mean) @ x if own is None else own[rows]
        if own is None and w is not None:
            loads = loads * w
        found.append(Carried(rows=rows, columns=x, inverse=arms.inverses[arm], weights=w, loads=loads))
    return found


def weighted_arms(x: Matrix, treated: Vector, weights: Vector, sparse: Sequence[bool]) -> list[Carried]:
    """Return what the rows of the arms with few rows contribute to weighted means, balanced on some columns.

    Args:
        x: (k, n) the columns.
        treated: (n,) 0/1.
        weights: (n,) of the rows within their arms.
        sparse: by arm, whether it has few rows.
    """
    found = []
    for arm in (0, 1):
        if not sparse[arm]:
            continue
        rows = treated > 0 if arm else treated <= 0
        own, w = x[:, rows], weights[rows]
        inverse = solve((own * w) @ own.T, np.zeros((len(x), 1))).inverse
        found.append(Carried(rows=rows, columns=own, inverse=inverse, weights=w, loads=w))
    return found
