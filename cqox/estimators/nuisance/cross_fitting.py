"""Cross-fitting: predictions of each row by fits without its fold, and the median over several sample splits.

Leaving a fold out means subtracting its cross-products, so that cross-fitting costs about one fit.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Settings, Vector
from cqox.estimators.estimate import Json
from cqox.estimators.inference.standard_errors import Uncertainty, influence_se
from cqox.estimators.numerics.blocked_matmul import combined
from cqox.estimators.numerics.frame import Crossed, Frame
from cqox.estimators.numerics.gram import solve_each
from cqox.estimators.numerics.scratch_memory import scratch
from cqox.estimators.plan import Plan
from cqox.estimators.sample import ARMS, Sample

__all__ = [
    "INFLUENCE",
    "REMAINING",
    "TREATMENT_DETERMINED",
    "arm_coefficients",
    "arms_without_folds",
    "check_folds",
    "median_of_splits",
    "over_splits",
    "own_fold",
    "partialled_out",
    "residuals_without_folds",
]

INFLUENCE = "influence function"

REMAINING = Message("nuisance.remaining")
"""The rows without a fold, for a sentence."""

TREATMENT_DETERMINED = Message("nuisance.treatment-determined")
"""The reason where no residual variance of the treatment is left."""


def arm_coefficients(plan: Plan, frame: Frame, split: int) -> NDArray[np.float64]:
    """Return (folds, 2, m) coefficients that predict the standardised outcome of each arm without each fold."""
    return arms_without_folds(frame, *plan.blocks(frame, split))


def arms_without_folds(frame: Crossed, blocks: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `arm_coefficients` from (folds, 2, m, m) cross-products and (folds, 2) row counts.

    Raises:
        UnusableData: a fold cannot be left out.
    """
    check_folds(counts, frame, ARMS)
    k, y = frame.at["x"].stop, frame.column("y")
    rest = blocks.sum(axis=0) - blocks
    combine = np.zeros((len(rest), 2, len(frame.labels)))
    for arm in (0, 1):
        combine[:, arm, :k] = solve_each(rest[:, arm, :k, :k], rest[:, arm, :k, y, None])[:, :, 0]
    return combine


def partialled_out(
    plan: Plan, frame: Frame, split: int, columns: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Partial out regressors: return the residual coefficients of some columns in linear fits without each fold.

    Returns:
        (folds, columns, m) coefficients of the residuals in the variables, and (folds, m, m) cross-products of these.
    """
    return residuals_without_folds(frame, *plan.blocks(frame, split), columns)


def residuals_without_folds(
    frame: Crossed, blocks: NDArray[np.float64], counts: NDArray[np.float64], columns: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `partialled_out` from (folds, arms, m, m) cross-products and (folds, arms) row counts.

    Raises:
        UnusableData: a fold cannot be left out.
    """
    check_folds(counts.sum(axis=1)[:, None], frame, (REMAINING,))
    k, wanted = frame.at["x"].stop, list(columns)
    whole = blocks.sum(axis=1)
    rest = whole.sum(axis=0) - whole
    combine = np.zeros((len(rest), len(wanted), len(frame.labels)))
    combine[:, :, :k] = -solve_each(rest[:, :k, :k], rest[:, :k][:, :, wanted]).transpose(0, 2, 1)
    combine[:, np.arange(len(wanted)), wanted] = 1.0
    return combine, whole


def check_folds(counts: NDArray[np.float64], frame: Crossed, arms: tuple[Message, ...]) -> None:
    """Refuse folds without which too few rows are left to fit.

    Args:
        counts: (folds, arms) rows of each.
        frame: the columns to fit by.
        arms: their names for a sentence; `REMAINING` where the arms are fitted together.

    Raises:
        UnusableData: there are any.
    """
    k = frame.at["x"].stop
    for fold, row in enumerate(counts.sum(axis=0) - counts):
        for arm, left in zip(arms, row, strict=True):
            if left <= k:
                raise UnusableData(
                    Message(
                        "nuisance.too-few-rows-without-fold",
                        fold=fold + 1,
                        folds=len(counts),
                        rows=int(left),
                        arm=arm,
                        coefficients=k,
                    )
                )


def own_fold(
    block: NDArray[np.float64], combine: NDArray[np.float64], folds: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Return (r, n) combinations of a block's variables, by the (folds, r, m) coefficients of each row's fold."""
    n_folds, r, m = combine.shape
    n = block.shape[1]
    by_fold = combine.transpose(1, 0, 2).reshape(r * n_folds, m)
    values = combined(by_fold, block, scratch("by fold", r * n_folds, n))
    place = folds * np.int64(n) + np.arange(n)
    return values.reshape(r, n_folds * n).take(place, axis=1, mode="clip")


def over_splits(
    plan: Plan, sample: Sample, estimate: Callable[[int], tuple[float, Vector]], *, compares_arms: bool = True
) -> tuple[float, Vector, Uncertainty, dict[str, Json]]:
    """Return the median over the splits, with a variance that includes each split's deviation from it.

    Args:
        plan: the request's plan.
        sample: the rows.
        estimate: returns the value and the (n,) contributions of a split.
        compares_arms: True if treated rows are compared with untreated ones, rather than the arms of an instrument.
    """
    settings, clusters = plan.settings, plan.clusters(sample)
    arm_codes = plan.treated(sample) if compares_arms and plan.data.treatment_kind == "binary" else None
    values: list[float] = []
    by_split: list[Uncertainty] = []
    total = np.zeros(sample.n)
    for split in range(settings.repetitions):
        value, contributions = estimate(split)
        values.append(value)
        by_split.append(influence_se(contributions, clusters, settings, name=INFLUENCE, arm_codes=arm_codes))
        total += contributions
    median, uncertainty, diagnostics = median_of_splits(values, by_split, settings)
    return median, total / settings.repetitions, uncertainty, diagnostics


def median_of_splits(
    values: Sequence[float], by_split: Sequence[Uncertainty], settings: Settings
) -> tuple[float, Uncertainty, dict[str, Json]]:
    """Return the median over the splits, with a variance that includes each split's deviation, and diagnostics.

    Args:
        values: of the splits.
        by_split: the uncertainty of each.
        settings: of the request.
    """
    median = float(np.median(values))
    diagnostics: dict[str, Json] = {"folds": settings.folds, "repetitions": settings.repetitions}
    uncertainty = by_split[0]
    if settings.repetitions > 1:
        uncertainty = _combined(by_split, np.asarray(values) - median)
        diagnostics["estimates_by_split"] = [float(value) for value in values[:100]]
    return median, uncertainty, diagnostics


def _combined(by_split: Sequence[Uncertainty], deviations: Vector) -> Uncertainty:
    """Combine the splits: the median of their variances, with the degrees of freedom of the median split.

    Args:
        by_split: the uncertainty of each split.
        deviations: (splits,) from the median estimate.
    """
    errors = [each.standard_error for each in by_split]
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return by_split[errors.index(None)]
    variances = np.square(known) + np.square(deviations)
    median = by_split[int(np.argsort(variances)[(len(by_split) - 1) // 2])]
    return replace(median, standard_error=math.sqrt(float(np.median(variances))), alternates={})
