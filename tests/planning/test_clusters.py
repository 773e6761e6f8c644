import numpy as np
import pytest

from cqox.planning.clusters import cluster_mean_variance, components


def test_components_add_up_and_shrink_by_what_covariates_explain() -> None:
    parts = components(4.0, 0.25)
    assert parts == (1.0, 3.0)
    assert parts.total == 4.0
    assert components(4.0, 0.25, 0.5) == (0.5, 1.5)
    assert components(4.0, 0.25, 0.5, 0.2) == pytest.approx((0.8, 1.5))


@pytest.mark.parametrize(("icc", "size", "cv"), [(0.05, 20, 0.0), (0.2, 7.5, 0.8), (0.0, 30, 0.5)])
def test_the_variance_has_the_published_design_effect(icc: float, size: float, cv: float) -> None:
    # Eldridge, Ashby and Kerry 2006: 1 + ((cv² + 1)m - 1)ρ.
    expected = 1 + ((cv**2 + 1) * size - 1) * icc
    assert cluster_mean_variance(components(1.0, icc), size, cv) * size == pytest.approx(expected)


def test_the_variance_is_that_of_a_mean_of_rows_in_clusters_of_these_sizes() -> None:
    sizes = np.array([3, 9, 1, 20, 12, 5])
    parts = components(2.0, 0.3)
    covariance = np.zeros((sizes.sum(), sizes.sum()))
    ends = np.cumsum(sizes)
    for end, size in zip(ends, sizes, strict=True):
        covariance[end - size : end, end - size : end] = parts.between
    covariance += np.diag(np.full(sizes.sum(), parts.within))
    got = cluster_mean_variance(parts, float(sizes.mean()), float(sizes.std() / sizes.mean())) / len(sizes)
    assert got == pytest.approx(covariance.mean())
