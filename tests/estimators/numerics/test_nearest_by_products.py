import numpy as np
import pytest
from scipy.spatial import KDTree

from cqox.estimators.numerics.nearest_by_products import nearest_by_products, worthwhile


@pytest.mark.parametrize("positions", [5, 700, 3000])
def test_distances_and_positions_are_those_of_a_tree(positions: int):
    rng = np.random.default_rng(positions)
    among, places = rng.standard_normal((positions, 10)), rng.standard_normal((400, 10))
    distances, nearest, sure = nearest_by_products(places, among, 5)
    expected, which = KDTree(among).query(places, k=5)
    np.testing.assert_allclose(distances, expected, rtol=1e-13)
    np.testing.assert_array_equal(nearest, which)
    assert sure.all()


def test_a_position_is_at_no_distance_of_itself():
    among = np.random.default_rng(1).standard_normal((500, 9)) + 1000
    distances, nearest, sure = nearest_by_products(among, among, 3)
    np.testing.assert_array_equal(nearest[:, 0], np.arange(500))
    assert not distances[:, 0].any()
    assert sure.all()


def test_ties_are_all_found():
    corners = np.kron(np.eye(8), [[1.0], [-1.0]])
    distances, nearest, sure = nearest_by_products(np.zeros((1, 8)), corners, 8)
    np.testing.assert_array_equal(distances, 1.0)
    assert len(set(nearest[0].tolist())) == 8
    assert sure.all()


def test_what_rounding_could_have_hidden_is_not_sure():
    rng = np.random.default_rng(2)
    far = np.full(10, 30.0)
    among = np.concatenate([rng.standard_normal((500, 10)), far + 1e-7 * rng.standard_normal((40, 10))])
    places = np.concatenate([rng.standard_normal((20, 10)), far + 1e-7 * rng.standard_normal((20, 10))])
    distances, _, sure = nearest_by_products(places, among, 5)
    expected = KDTree(among).query(places, k=5)[0]
    assert sure.tolist() == [True] * 20 + [False] * 20
    np.testing.assert_allclose(distances[sure], expected[sure], rtol=1e-13)
    # By the product alone these would be wrong.
    assert (distances[~sure] > expected[~sure] * 1.001).any()


def test_a_tree_is_taken_for_few_dimensions_many_positions_or_many_neighbours():
    few = np.zeros((100, 10))
    assert worthwhile(few, 5)
    assert not worthwhile(few[:, :5], 5)
    assert not worthwhile(few, 9)
    assert not worthwhile(np.zeros((10_000, 10)), 5)
