import numpy as np
import pytest

from cqox.estimators.inference.cluster_arms import degrees_by_arm


def arms(*, mixed: bool, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of unequal size, four of 15 with treated rows, and the (n,) treatment."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(15), rng.integers(3, 60, 15))
    treated = (codes < 4) & (rng.random(len(codes)) < 0.6) if mixed else codes < 4
    return codes, treated.astype(float)


def moved(codes: np.ndarray, treated: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """(clusters, n) what leaving a cluster out moves the difference of means by, for each unit of an outcome."""

    def contrast(rows: np.ndarray) -> np.ndarray:
        return rows * (treated / (rows @ treated) - (1 - treated) / (rows @ (1 - treated)))

    everyone = contrast(np.ones(len(codes)) * weights)
    return np.stack([contrast((codes != cluster) * weights) - everyone for cluster in range(codes.max() + 1)])


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("part", ["treated", "others"])
def test_each_part_has_the_degrees_of_freedom_of_its_quadratic_form(mixed: bool, part: str):
    codes, treated = arms(mixed=mixed)
    own = (np.arange(15) < 4) == (part == "treated")
    covariance = (moved(codes, treated) @ moved(codes, treated).T)[np.ix_(own, own)]
    expected = np.trace(covariance) ** 2 / np.square(covariance).sum()
    assert degrees_by_arm(codes, treated, own * 2.5) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("part", ["treated", "others"])
def test_sampling_weights_make_a_cluster_count_for_more(mixed: bool, part: str):
    codes, treated = arms(mixed=mixed)
    weights = np.random.default_rng(8).exponential(size=15)[codes] + np.random.default_rng(9).random(len(codes))
    own = (np.arange(15) < 4) == (part == "treated")
    moves = moved(codes, treated, weights)
    covariance = (moves @ moves.T)[np.ix_(own, own)]
    expected = np.trace(covariance) ** 2 / np.square(covariance).sum()
    assert degrees_by_arm(codes, treated, own * 2.5, weights) == pytest.approx(expected, rel=1e-9)
    assert degrees_by_arm(codes, treated, own * 2.5, 7.0 * weights) == pytest.approx(expected, rel=1e-9)


def test_they_are_those_of_the_variance_that_independent_errors_give():
    codes, treated = arms(mixed=True)
    errors = np.random.default_rng(20_240).standard_normal((20_000, len(codes)))
    squares = np.square(errors @ moved(codes, treated).T)
    for own in (np.arange(15) < 4, np.arange(15) >= 4):
        variance = squares[:, own].sum(axis=1)
        assert degrees_by_arm(codes, treated, own * 1.0) == pytest.approx(
            2 * variance.mean() ** 2 / variance.var(), rel=0.06
        )


def test_with_arms_of_as_many_equal_clusters_they_are_welchs_over_their_means():
    from scipy import stats

    rng = np.random.default_rng(7)
    codes, treated = np.repeat(np.arange(12), 5), np.repeat(np.arange(12) < 6, 5).astype(float)
    y = rng.standard_normal(12)[codes] * np.where(treated > 0, 3.0, 1.0) + rng.standard_normal(60)
    means = y.reshape(12, 5).mean(axis=1)
    expected = stats.ttest_ind(means[:6], means[6:], equal_var=False).df
    assert degrees_by_arm(codes, treated, np.square(moved(codes, treated) @ y)) == pytest.approx(expected, rel=1e-9)


def test_clusters_of_one_size_count_each_and_one_that_outweighs_the_others_counts_alone():
    treated_part = np.arange(20) < 4
    for sizes, expected in ((np.full(20, 10), 3.0), (np.where(np.arange(20) == 0, 2000, 10), 1.0)):
        codes = np.repeat(np.arange(20), sizes)
        found = degrees_by_arm(codes, (codes < 4).astype(float), treated_part * 1.0)
        assert found == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("mixed", [False, True])
def test_neither_arm_has_a_privilege_nor_the_order_of_rows(mixed: bool):
    codes, treated = arms(mixed=mixed)
    squares = np.random.default_rng(3).random(15)
    found = degrees_by_arm(codes, treated, squares)
    order = np.random.default_rng(4).permutation(len(codes))
    assert degrees_by_arm(codes, 1 - treated, squares) == pytest.approx(found, rel=1e-12)
    assert degrees_by_arm(codes[order], treated[order], squares) == pytest.approx(found, rel=1e-12)


def test_rows_that_are_compared_with_none_do_not_count():
    codes, treated = arms(mixed=False)
    squares = np.random.default_rng(3).random(15)
    doubled = np.concatenate([treated, np.full(len(codes), -1.0)])
    found = degrees_by_arm(np.concatenate([codes, codes[::-1]]), doubled, squares)
    assert found == pytest.approx(degrees_by_arm(codes, treated, squares), rel=1e-12)


def test_clusters_that_are_no_two_samples_have_none():
    codes = np.repeat(np.arange(6), 4)
    within, ones = np.tile([0.0, 1.0], 12), np.ones(6)
    assert degrees_by_arm(codes, within, ones) is None
    assert degrees_by_arm(codes, (codes == 2).astype(float), ones) is None
    assert degrees_by_arm(codes, (codes < 3).astype(float), 0 * ones) is None
