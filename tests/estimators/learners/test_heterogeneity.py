import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators.learners.heterogeneity import Judged, judge


def rows(n: int = 2000, seed: int = 1, *, levels: int = 0, gain: float = 0.5) -> tuple[np.ndarray, ...]:
    """Scores, predictions and folds."""
    rng = np.random.default_rng(seed)
    predictions = rng.integers(0, levels, n).astype(float) if levels else rng.standard_normal(n)
    return 1 + gain * predictions + rng.standard_normal(n), predictions, rng.integers(0, 4, n)


def judged(scores: np.ndarray, predictions: np.ndarray, folds: np.ndarray, **changes: object) -> Judged:
    given = {"first": 1, "weights": None, "clusters": None, **changes}
    return judge(scores, predictions, folds, **given)


def areas(scores: np.ndarray, predictions: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The two areas by their definition: the mean over shares of the gain of those with the highest predictions."""
    found = np.zeros(2)
    for fold in (1, 2, 3):
        own = scores[folds == fold][np.argsort(-predictions[folds == fold], kind="stable")]
        n = len(own)
        fine = 400
        grid = (np.arange(n * fine) + 0.5) / (n * fine)
        gains = np.cumsum(np.repeat(own, fine)) / np.arange(1, n * fine + 1) - own.mean()
        found += n / np.sum(folds > 0) * np.array([gains.mean(), (grid * gains).mean()])
    return found


def test_the_areas_are_those_under_the_curve_of_gains():
    given = rows(400)
    found = judged(*given)
    assert [found.autoc[0], found.qini[0]] == pytest.approx(areas(*given), abs=2e-4)


def test_the_groups_are_fifths_of_each_folds_predictions_with_the_mean_score_of_each():
    scores, predictions, folds = rows()
    found = judged(scores, predictions, folds)
    group = np.full(len(scores), -1)
    for fold in (1, 2, 3):
        own = np.flatnonzero(folds == fold)
        place = np.argsort(np.argsort(predictions[own]))
        group[own] = ((place + 0.5) * 5 / len(own)).astype(int)
    for place in range(5):
        own = scores[group == place]
        n = np.sum(group >= 0)
        assert found.counts[place] == len(own)
        assert found.groups[place] == pytest.approx(own.mean(), rel=1e-12)
        assert found.covariance[place, place] == pytest.approx(own.var() / len(own) * n / (n - 5), rel=1e-10)


def test_the_groups_and_the_slope_equal_statsmodels():
    import statsmodels.api as sm

    scores, predictions, folds = rows()
    weights = np.random.default_rng(3).uniform(0.5, 2, len(scores))
    found = judged(scores, predictions, folds, weights=weights)
    own = folds > 0
    dummies = (folds[own, None] == np.array([1, 2, 3])).astype(float)
    design = np.column_stack([dummies, predictions[own]])
    fit = sm.WLS(scores[own], design, weights=weights[own]).fit(cov_type="HC0")
    assert found.slope[0] == pytest.approx(fit.params[-1], rel=1e-10)
    assert np.sqrt(found.slope[1]) == pytest.approx(fit.bse[-1], rel=1e-8)


def test_rows_before_the_first_judged_fold_do_not_count():
    scores, predictions, folds = rows()
    moved = np.where(folds == 0, 1e6, scores)
    left, right = judged(scores, predictions, folds), judged(moved, predictions, folds)
    assert (left.autoc, left.slope) == (right.autoc, right.slope)
    assert left.rows == np.sum(folds > 0)


def test_a_fold_whose_predictions_lie_higher_changes_nothing():
    scores, predictions, folds = rows()
    left, right = judged(scores, predictions, folds), judged(scores, predictions + 10 * (folds == 2), folds)
    np.testing.assert_allclose(left.groups, right.groups, rtol=1e-10)
    assert left.slope == pytest.approx(right.slope, rel=1e-8)
    assert left.autoc == pytest.approx(right.autoc, rel=1e-8)


@pytest.mark.parametrize("levels", [0, 7])
def test_whole_weights_are_rows_that_repeat(levels: int):
    scores, predictions, folds = rows(800, levels=levels)
    times = np.random.default_rng(4).integers(1, 4, len(scores))
    weighted = judged(scores, predictions, folds, weights=times.astype(float))
    long = np.repeat(np.arange(len(scores)), times)
    repeated = judged(scores[long], predictions[long], folds[long])
    assert weighted.autoc[0] == pytest.approx(repeated.autoc[0], rel=1e-10)
    assert weighted.qini[0] == pytest.approx(repeated.qini[0], rel=1e-10)
    np.testing.assert_allclose(weighted.groups, repeated.groups, rtol=1e-10)
    np.testing.assert_allclose(weighted.gains, repeated.gains, rtol=1e-9)


@pytest.mark.parametrize("levels", [0, 4])
def test_the_order_of_the_rows_changes_nothing_not_even_with_ties(levels: int):
    given = rows(600, levels=levels)
    order = np.random.default_rng(5).permutation(600)
    left, right = judged(*given), judged(*(each[order] for each in given))
    for name in ("autoc", "qini", "slope", "groups", "covariance", "gains", "variances"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=1e-9, atol=1e-12)


def test_every_row_a_cluster_is_no_clusters():
    scores, predictions, folds = rows(500)
    left = judged(scores, predictions, folds)
    right = judged(scores, predictions, folds, clusters=np.arange(500))
    n = left.rows
    assert right.slope[1] == pytest.approx(left.slope[1] * n / (n - 1), rel=1e-9)
    for name in ("autoc", "qini"):
        # A degree of freedom is lost in each of three folds.
        assert getattr(right, name)[1] == pytest.approx(getattr(left, name)[1] * n / (n - 3), rel=2e-3)
    assert (right.degrees, right.within) == (n - 1, n - 3)
    np.testing.assert_allclose(right.variances, left.variances * n / (n - 1), rtol=1e-9)
    np.testing.assert_allclose(right.covariance, left.covariance * (n - 5) / (n - 1), rtol=1e-9, atol=1e-15)


def test_areas_of_clusters_move_as_these_do_within_their_folds():
    scores, predictions, folds = rows(600)
    cluster = np.random.default_rng(8).integers(0, 5, 600) + 5 * folds
    found = judged(scores, predictions, folds, clusters=cluster)
    expected, step = np.zeros(2), 1e-6
    for fold in (1, 2, 3):
        for code in range(5 * fold, 5 * fold + 5):
            tilt = np.where(folds == fold, -np.sum(cluster == code) / np.sum(folds == fold), 0.0) + (cluster == code)
            ends = [judged(scores, predictions, folds, weights=1 + side * step * tilt) for side in (1, -1)]
            moved = [(getattr(ends[0], name)[0] - getattr(ends[1], name)[0]) / 2 / step for name in ("autoc", "qini")]
            expected += np.square(moved) * 5 / 4
    assert [found.autoc[1], found.qini[1]] == pytest.approx(list(expected), rel=1e-5)
    assert (found.degrees, found.within) == (14, 12)


def test_a_fold_of_a_single_cluster_is_not_judged():
    scores, predictions, folds = rows(900)
    cluster = np.where(folds == 2, 0, 1 + np.arange(900) % 7)
    moved = np.where(folds == 2, 1e6, scores)
    left, right = (judged(each, predictions, folds, clusters=cluster) for each in (scores, moved))
    assert left.rows == np.sum((folds == 1) | (folds == 3))
    assert (left.autoc, left.slope, left.qini) == (right.autoc, right.slope, right.qini)
    np.testing.assert_array_equal(left.covariance, right.covariance)
    with pytest.raises(UnusableData, match="every fold must have several clusters"):
        judged(scores, predictions, folds, clusters=folds)


@pytest.mark.parametrize("levels", [0, 6])
def test_the_errors_of_areas_and_curve_equal_those_of_a_bootstrap_that_ranks_again(levels: int):
    scores, predictions, folds = rows(1500, levels=levels, gain=1.0 if not levels else 0.5)
    found = judged(scores, predictions, folds)
    rng = np.random.default_rng(6)
    drawn = []
    for _ in range(1500):
        # Multiplier weights of mean 1 and variance 1, by which ranks move as well.
        again = judged(scores, predictions, folds, weights=rng.exponential(1.0, len(scores)))
        drawn.append([again.autoc[0], again.qini[0], again.slope[0], *(again.gains if not levels else ())])
    sd = np.std(drawn, axis=0)
    errors = np.sqrt([found.autoc[1], found.qini[1], found.slope[1]])
    np.testing.assert_allclose(sd[:3], errors, rtol=0.08)
    if not levels:
        np.testing.assert_allclose(sd[3:-3], np.sqrt(found.variances)[:-3], rtol=0.06)
        np.testing.assert_allclose(sd[-3:], np.sqrt(found.variances)[-3:], rtol=0.12)


def test_few_distinct_predictions_make_fewer_groups():
    scores, predictions, folds = rows(levels=2)
    found = judged(scores, predictions, folds)
    assert len(found.groups) == 2
    np.testing.assert_allclose(
        found.groups, [scores[(folds > 0) & (predictions == level)].mean() for level in (0, 1)], rtol=1e-10
    )


def test_too_few_rows_or_one_prediction_for_all_are_refused_by_name():
    scores, predictions, folds = rows(120)
    with pytest.raises(UnusableData, match="Predicted effects can be evaluated on"):
        judged(scores, predictions, folds)
    scores, predictions, folds = rows(400)
    with pytest.raises(UnusableData, match="same for all rows"):
        judged(scores, np.full(400, 0.3), folds)
