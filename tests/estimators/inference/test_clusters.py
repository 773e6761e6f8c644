import numpy as np
import pytest

from cqox.contract.messages import Message
from cqox.estimators.inference.clusters import (
    Clusters,
    beyond_rounding,
    cluster_degrees,
    clustered_variance,
    linear_jackknife,
    positive_variance,
)

RNG = np.random.default_rng(2)
U = RNG.standard_normal(60)
FIRST, SECOND, THIRD = np.arange(60) % 7, np.arange(60) // 10, RNG.integers(0, 9, 60)


def pairwise(codes: list[np.ndarray]) -> float:
    """The sum of the products of all rows that share a cluster of some dimension."""
    shared = np.any([each[:, None] == each for each in codes], axis=0)
    return float(U @ shared @ U)


@pytest.mark.parametrize("codes", [[FIRST], [FIRST, SECOND], [FIRST, SECOND, THIRD]])
def test_the_variance_sums_the_products_of_rows_that_share_a_cluster(codes: list[np.ndarray]):
    assert clustered_variance(U, codes, adjust=False) == pytest.approx(pairwise(codes), rel=1e-10)
    # The smallest number of clusters is that of the dimensions, whose intersections have more.
    fewest = min(len(np.unique(each)) for each in codes)
    assert clustered_variance(U, codes) == pytest.approx(pairwise(codes) * fewest / (fewest - 1), rel=1e-10)


def test_codes_may_have_gaps():
    assert clustered_variance(U, [10 * FIRST + 3]) == pytest.approx(clustered_variance(U, [FIRST]), rel=1e-12)


def test_a_clustered_variance_of_rounding_alone_is_none():
    rng = np.random.default_rng(1)
    codes = np.arange(3000) % 3
    u = rng.standard_normal(3000)
    u -= np.bincount(codes, u)[codes] / 1000
    assert np.bincount(codes, u).any()
    assert clustered_variance(u, [codes]) == 0.0
    assert clustered_variance(u + 1e-4, [codes]) == pytest.approx(1.5 * 3 * 0.1**2, rel=1e-8)


def test_two_dimensions_that_agree_are_one():
    contributions = np.random.default_rng(5).standard_normal(200)
    codes = np.arange(200) % 20
    assert clustered_variance(contributions, [codes, codes]) == pytest.approx(
        clustered_variance(contributions, [codes]), rel=1e-12
    )


def test_a_variance_below_the_rounding_of_its_terms_is_zero():
    assert beyond_rounding(1e-14, np.ones(3)) == 0.0
    assert beyond_rounding(-1e-14, np.ones(3)) == 0.0
    assert beyond_rounding(1e-9, np.ones(3)) == 1e-9


def test_dimensions_whose_difference_is_not_positive_are_added():
    # Each sum by row and by column is 0, but not those of the cells.
    u, rows, columns = np.array([1.0, -1.0, -1.0, 1.0]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    u = u + np.array([0.1, 0.1, 0.0, 0.0])
    warnings: list[Message] = []
    clusters = Clusters(codes=(rows, columns), counts=(2, 2))
    assert clustered_variance(u, clusters.codes) < 0
    by_row, by_column = (np.bincount(codes, u) @ np.bincount(codes, u) for codes in (rows, columns))
    assert positive_variance(u, clusters, warnings) == pytest.approx(2 * (by_row + by_column))
    assert [each.code for each in warnings] == ["inference.variances-added"]


def test_a_positive_variance_is_kept_without_a_warning():
    warnings: list[Message] = []
    clusters = Clusters(codes=(FIRST,), counts=(7,))
    assert positive_variance(U, clusters, warnings) == clustered_variance(U, [FIRST])
    assert not warnings


def clusters_and_arms(weights: np.ndarray | None = None) -> tuple[Clusters, np.ndarray]:
    codes = np.arange(60) % 6
    return Clusters(codes=(codes,), counts=(6,), weights=weights), (codes < 2).astype(float)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_jackknife_of_a_difference_of_means_is_that_without_each_cluster(weighted: bool):
    rng = np.random.default_rng(4)
    weights = rng.uniform(0.5, 2.0, 60) if weighted else None
    clusters, arm = clusters_and_arms(weights)
    w = np.ones(60) if weights is None else weights
    y, codes = rng.standard_normal(60), clusters.codes[0]

    def difference(keep: np.ndarray) -> float:
        means = [np.average(y[keep & (arm == a)], weights=w[keep & (arm == a)]) for a in (0, 1)]
        return float(means[1] - means[0])

    value = difference(np.ones(60, dtype=bool))
    contributions = np.zeros(60)
    for a, sign in ((0, -1), (1, 1)):
        own = arm == a
        contributions[own] = sign * w[own] * (y[own] - np.average(y[own], weights=w[own])) / w[own].sum()
    expected = [5 / 6 * (difference(codes != cluster) - value) ** 2 for cluster in range(6)]
    np.testing.assert_allclose(linear_jackknife(contributions, clusters, arm), expected, rtol=1e-9)


def test_there_is_no_jackknife_without_arms_with_one_cluster_in_an_arm_or_with_many_clusters():
    clusters, arm = clusters_and_arms()
    assert linear_jackknife(U, clusters, None) is None
    assert linear_jackknife(U, clusters, (clusters.codes[0] < 1).astype(float)) is None
    two = Clusters(codes=(FIRST, SECOND), counts=(7, 6))
    assert linear_jackknife(U, two, arm) is None
    many = Clusters(codes=(np.arange(60),), counts=(60,))
    assert linear_jackknife(U, many, (np.arange(60) % 2).astype(float)) is None


def test_degrees_of_freedom_are_the_clusters_less_one_or_fewer_by_welch():
    clusters, arm = clusters_and_arms()
    assert cluster_degrees(None, clusters, None) == (5.0, [])
    assert cluster_degrees(arm, clusters, None) == (5.0, [])
    degrees, (note,) = cluster_degrees(arm, clusters, np.array([9.0, 1.0, 0.1, 0.1, 0.1, 0.1]))
    assert 0 < degrees < 5
    assert note.code == "inference.welch-degrees"
    assert note.params["most"] == 5


def test_the_fewest_clusters_are_those_of_the_smallest_dimension():
    assert Clusters().fewest == 0
    assert Clusters(codes=(FIRST, SECOND), counts=(7, 6)).fewest == 6
