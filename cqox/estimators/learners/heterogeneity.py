"""Evaluation of predicted effects on held-out rows: group averages, calibration slope, and the TOC curve with its
areas.

Standard errors come from doubly robust scores of rows that were not used for the predictions.

Ranks are within folds, since another fold's predictions come from another model. Ties take the midpoint of their ranks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cqox.contract.messages import Message
from cqox.errors import UnusableData
from cqox.estimators.data import Codes, Matrix, Vector

__all__ = ["GROUPS", "MOST_ROWS", "Judged", "judge"]

MOST_ROWS = 3_000_000
"""Number of rows up to which all are ranked in memory."""

GROUPS = 5
"""Groups by the predicted effect."""

_SLICES = 20
"""Points of the curve; a multiple of the number of groups."""

_FEWEST = 100
"""Minimum number of rows for an evaluation: twenty in each group."""

_SAME = 1e-9
"""A smaller spread of predictions, in standard deviations of the outcome, is rounding."""

_TIE = 1e-9
"""Predictions closer than this share of their spread count as equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The evaluation of predicted effects, in units of the standardised outcome.

    Attributes:
        rows: number of evaluated rows.
        counts, predicted, groups: (groups,) rows, mean predicted effect and mean score, from the least predicted.
        covariance: (groups, groups) of the mean scores.
        slope, autoc, qini: the slope of the scores on the predictions, and the areas under the curve, plain and with
            weights that grow with the share treated; each with its variance.
        shares, gains, variances: (slices - 1,) of the TOC curve: the mean effect of the treated above the average
            effect when a share is treated in the order of the predictions.
        degrees, within: of freedom of these variances, and of those of the areas; None where rows are independent.
    """

    rows: int
    counts: Vector
    predicted: Vector
    groups: Vector
    covariance: Matrix
    slope: tuple[float, float]
    autoc: tuple[float, float]
    qini: tuple[float, float]
    shares: Vector
    gains: Vector
    variances: Vector
    degrees: float | None = None
    within: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranked:
    """Evaluated rows in the order of their predictions within each fold.

    Attributes:
        order: positions of the rows in the sample.
        share: weights that add up to one.
        slices: the quantile slice of each row, from that of the highest predictions.
        score, prediction: less the mean of its fold.
        codes: the cluster of each row, numbered without gaps; None where rows are independent.
        autoc, qini: the areas over all folds, each with its variance.
        within: degrees of freedom of these variances; None where rows are independent.
    """

    order: NDArray[np.intp]
    share: Vector
    slices: NDArray[np.uint8]
    score: Vector
    prediction: Vector
    codes: Codes | None
    autoc: tuple[float, float]
    qini: tuple[float, float]
    within: float | None


def judge(
    scores: Vector,
    predictions: Vector,
    folds: NDArray[np.integer],
    first: int,
    weights: Vector | None,
    clusters: Codes | None,
) -> Judged:
    """Evaluate (n,) predictions by (n,) scores.

    Args:
        scores: of each row's effect.
        predictions: of the same, by models from earlier folds.
        folds: (n,) of the rows; those before `first` are not evaluated.
        first: the first evaluated fold.
        weights: (n,) sampling weights.
        clusters: (n,) codes of groups whose rows may be correlated.

    Raises:
        UnusableData: too few rows or clusters, or predictions that do not vary.
    """
    order, places = _order(predictions, folds, first, clusters)
    rows = len(order)
    if rows < _FEWEST:
        if clusters is None:
            raise UnusableData(Message("learners.few-evaluated-rows", rows=rows, fewest=_FEWEST))
        raise UnusableData(Message("learners.few-evaluated-rows-in-clusters", rows=rows, fewest=_FEWEST))
    ranked = _ranked(scores, predictions, weights, clusters, order, places)
    spread = float(ranked.share @ ranked.prediction**2)
    if spread <= _SAME**2:
        raise UnusableData(Message("learners.constant-prediction"))
    counts, predicted, groups, covariance = _groups(ranked, scores, predictions)
    slope = float(ranked.share @ (ranked.prediction * ranked.score)) / spread
    shares, gains, variances = _curve(ranked, slope)
    return Judged(
        rows=rows, counts=counts, predicted=predicted, groups=groups, covariance=covariance,
        slope=(slope, _slope_variance(ranked, slope, spread)), autoc=ranked.autoc, qini=ranked.qini,
        shares=shares, gains=gains, variances=variances, within=ranked.within,
        degrees=None if ranked.codes is None else float(ranked.codes.max()),
    )  # fmt: skip


def _slope_variance(ranked: _Ranked, slope: float, spread: float) -> float:
    left = slope * ranked.prediction
    np.subtract(ranked.score, left, out=left)
    own = ranked.share * ranked.prediction
    own *= left
    own /= spread
    return _variance(own, ranked.codes)


def _ranked(
    scores: Vector,
    predictions: Vector,
    weights: Vector | None,
    clusters: Codes | None,
    order: NDArray[np.intp],
    places: list[slice],
) -> _Ranked:
    share = np.ones(len(order)) if weights is None else weights[order]
    share /= float(share.sum())
    prediction, score, slices = predictions[order], scores[order], np.empty(len(order), dtype=np.uint8)
    codes = None if clusters is None else np.unique(clusters[order], return_inverse=True)[1]
    moves, areas, within = np.empty((2, len(order))), np.zeros(2), 0.0
    for s in places:
        slices[s], found = _ranked_fold(share[s], prediction[s], score[s], moves[:, s])
        areas += found
        if codes is not None:
            # Contributions of a fold sum to 0, which costs each fold a degree of freedom.
            own = len(np.unique(codes[s]))
            moves[:, s] *= np.sqrt(own / (own - 1))
            within += own - 1
    autoc, qini = ((float(area), _squares(move, codes)) for area, move in zip(areas, moves, strict=True))
    return _Ranked(
        order=order, share=share, slices=slices, score=score, prediction=prediction, codes=codes, autoc=autoc,
        qini=qini, within=None if codes is None else within,
    )  # fmt: skip


def _order(
    predictions: Vector, folds: NDArray[np.integer], first: int, clusters: Codes | None
) -> tuple[NDArray[np.intp], list[slice]]:
    """Return positions of the evaluated rows, by fold and with the highest prediction first, and each fold's slice.

    A fold of a single cluster is not evaluated: its between-cluster variance is not identified.
    """
    counts = np.bincount(folds)
    counts[:first] = 0
    if clusters is not None:
        counts[[fold for fold in np.flatnonzero(counts).tolist() if np.ptp(clusters[folds == fold]) == 0]] = 0
    ends = np.cumsum(counts)
    order, places = np.empty(int(counts.sum()), dtype=np.intp), list[slice]()
    for fold in np.flatnonzero(counts).tolist():
        rows = np.flatnonzero(folds == fold)
        places.append(slice(int(ends[fold] - counts[fold]), int(ends[fold])))
        # Rows with the same prediction are in any order: they count as a group.
        order[places[-1]] = rows[np.argsort(-predictions[rows])]
    return order, places


def _ranked_fold(
    share: Vector, prediction: Vector, score: Vector, moves: Matrix
) -> tuple[NDArray[np.int64], tuple[float, float]]:
    """Return the slices of one fold's sorted rows, and the fold's parts of the two areas.

    `prediction` and `score` are centred in place; the rows of `moves` are overwritten by each row's contribution to the
    areas.
    """
    mass = float(share.sum())
    prediction -= share @ prediction / mass
    score -= share @ score / mass
    width = _TIE * float(np.sqrt(share @ prediction**2 / mass))
    starts = np.flatnonzero(np.concatenate([[True], np.diff(prediction) < -width]))
    # Without ties, each row is its own group.
    group = None if len(starts) == len(share) else np.cumsum(np.bincount(starts, minlength=len(share))) - 1

    def summed(values: Vector) -> Vector:
        return values if group is None else np.add.reduceat(values, starts)

    def of_rows[Scalar: np.generic](values: NDArray[Scalar]) -> NDArray[Scalar]:
        return values if group is None else values[group]

    upper = np.cumsum(summed(share)) / mass
    upper[-1] = 1.0
    lower = np.concatenate([[0.0], upper[:-1]])
    moved = summed(share * score) / mass
    areas = []
    for move, ranking in zip(moves, (_log_weights, _even_weights), strict=True):
        weight, by_lower, by_upper = ranking(lower, upper)
        # A row changes the ranks of all rows with no higher prediction, which contributes in addition to its own score.
        to_upper, to_lower = (moved * by_upper)[::-1].cumsum()[::-1], (moved * by_lower)[::-1].cumsum()[::-1]
        ranks = to_upper + np.concatenate([to_lower[1:], [0.0]])
        np.multiply(of_rows(weight), score, out=move)
        areas.append(float(share @ move))
        move += of_rows(ranks)
        move -= share @ move / mass
        move *= share
    # Another summation order of the weights must not move a row across a boundary.
    place = np.floor(np.round((lower + upper) / 2 * _SLICES, 9)).astype(np.int64)
    return of_rows(np.minimum(place, _SLICES - 1)), (areas[0], areas[1])


def _log_weights(lower: Vector, upper: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the mean of -ln(u) - 1 between two ranks, the weight of AUTOC; with its derivatives."""
    width = upper - lower
    # Each upper rank is the next lower one; the first lower rank is 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        log_upper = np.log(upper)
        log_lower = np.concatenate([[0.0], log_upper[:-1]])
        weight = (lower * log_lower - upper * log_upper) / width
        by_lower = np.where(lower > 0, (log_lower + 1 + weight) / width, 0.0)
    return weight, by_lower, -(log_upper + 1 + weight) / width


def _even_weights(lower: Vector, upper: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the mean of 1/2 - u between two ranks, the weight of the Qini coefficient; with its derivatives."""
    half = np.full_like(lower, -0.5)
    return 0.5 - (lower + upper) / 2, half, half


def _groups(ranked: _Ranked, scores: Vector, predictions: Vector) -> tuple[Vector, Vector, Vector, Matrix]:
    codes = ranked.codes
    place = GROUPS - 1 - ranked.slices // (_SLICES // GROUPS)
    counts = np.bincount(place, minlength=GROUPS)
    present = np.flatnonzero(counts)
    group = np.searchsorted(present, place)
    size, own = len(present), scores[ranked.order]
    mass = np.bincount(group, ranked.share, size)
    means = np.bincount(group, ranked.share * own, size) / mass
    predicted = np.bincount(group, ranked.share * predictions[ranked.order], size) / mass
    own -= means[group]
    contributions = ranked.share / mass[group]
    contributions *= own
    if codes is None:
        n = len(group)
        covariance = np.diag(np.bincount(group, contributions**2, size)) * (n / (n - size))
    else:
        clusters = int(codes.max()) + 1
        sums = np.bincount(codes * size + group, contributions, clusters * size).reshape(clusters, size)
        covariance = sums.T @ sums * (clusters / max(clusters - 1, 1))
    return counts[present].astype(np.float64), predicted, means, covariance


def _curve(ranked: _Ranked, slope: float) -> tuple[Vector, Vector, Vector]:
    """Return the shares, the gains and their variances.

    The marginal effect at the boundary of a share is read off the calibration line.
    """
    mass = np.bincount(ranked.slices, ranked.share, _SLICES)
    present = np.flatnonzero(mass)
    slices, size, codes = np.searchsorted(present, ranked.slices), len(present), ranked.codes
    mass = mass[present]
    share = np.cumsum(mass)[:-1]
    gains = np.cumsum(np.bincount(slices, ranked.share * ranked.score, size))[:-1] / share
    middle = slope * np.bincount(slices, ranked.share * ranked.prediction, size) / mass
    edge = (middle[1:] + middle[:-1]) / 2
    inside, outside = edge - gains - edge / share, edge - gains
    if codes is None:
        squares = [np.bincount(slices, ranked.share**2 * ranked.score**power, size) for power in (0, 1, 2)]
        zero, one, two = (np.cumsum(each)[:-1] for each in squares)
        rest_zero, rest_one, rest_two = (each.sum() - cut for each, cut in zip(squares, (zero, one, two), strict=True))
        factor = 1 / share - 1
        variances = factor**2 * two + 2 * factor * inside * one + inside**2 * zero
        variances += rest_two - 2 * outside * rest_one + outside**2 * rest_zero
        return share, gains, variances
    clusters = int(codes.max()) + 1
    sums = [
        np.bincount(codes * size + slices, each, clusters * size).reshape(clusters, size)
        for each in (ranked.share, ranked.share * ranked.score)
    ]
    plain, scored = (np.cumsum(each, axis=1)[:, :-1] for each in sums)
    rest = (sums[0].sum(axis=1, keepdims=True) - plain, sums[1].sum(axis=1, keepdims=True) - scored)
    each = (1 / share - 1) * scored + inside * plain - rest[1] + outside * rest[0]
    return share, gains, (each**2).sum(axis=0) * (clusters / max(clusters - 1, 1))


def _variance(contributions: Vector, codes: Codes | None) -> float:
    if codes is None:
        return _squares(contributions, codes)
    clusters = int(codes.max()) + 1
    return _squares(contributions, codes) * clusters / max(clusters - 1, 1)


def _squares(contributions: Vector, codes: Codes | None) -> float:
    """Return the sum of squared contributions of the rows, or of their clusters."""
    sums = contributions if codes is None else np.bincount(codes, contributions)
    return float(sums @ sums)
