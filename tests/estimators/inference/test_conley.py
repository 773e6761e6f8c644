import math

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators.inference.conley import EARTH_KM, conley_variance, default_bandwidth

RNG = np.random.default_rng(5)
PLACES = np.column_stack([RNG.uniform(-60, 60, 80), RNG.uniform(-180, 180, 80)])
U = RNG.standard_normal(80)
KEYS = RNG.integers(0, 2**63, 80).astype(np.uint64)


def kilometres(places: np.ndarray) -> np.ndarray:
    """Great-circle distances by the haversine formula."""
    latitude, longitude = np.radians(places).T
    half = np.sin((latitude[:, None] - latitude) / 2) ** 2
    half += np.cos(latitude[:, None]) * np.cos(latitude) * np.sin((longitude[:, None] - longitude) / 2) ** 2
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


@pytest.mark.parametrize("bandwidth", [200.0, 3_000.0, 19_000.0])
def test_the_variance_is_the_double_sum_over_pairs_within_the_bandwidth(bandwidth: float):
    near = kilometres(PLACES) <= bandwidth
    variance, pairs = conley_variance(U, PLACES, bandwidth)
    assert variance == pytest.approx(U @ near @ U, rel=1e-9)
    assert pairs == (near.sum() - 80) // 2


def test_without_neighbours_it_is_the_sum_of_squares_and_beyond_half_the_globe_the_squared_sum():
    assert conley_variance(U, PLACES, 1e-6) == (pytest.approx(U @ U), 0)
    assert conley_variance(U, PLACES, 1e6)[0] == pytest.approx(U.sum() ** 2)


def test_more_pairs_than_the_limit_are_refused():
    same = np.zeros((5, 2))
    assert conley_variance(np.ones(5), same, 1.0, most_pairs=13) == (25.0, 10)
    with pytest.raises(UnusableData) as caught:
        conley_variance(np.ones(5), same, 1.0, most_pairs=12)
    assert caught.value.detail.code == "inference.too-many-pairs"


def test_the_default_bandwidth_is_the_median_distance_to_that_many_others():
    others = math.ceil(2 * 80 ** (1 / 3))
    expected = np.median(np.sort(kilometres(PLACES), axis=1)[:, others])
    assert default_bandwidth(PLACES, KEYS) == pytest.approx(expected, rel=1e-9)


def test_two_rows_have_their_distance_and_rows_of_one_place_are_refused():
    two = np.array([[0.0, 0.0], [0.0, 90.0]])
    assert default_bandwidth(two, KEYS[:2]) == pytest.approx(EARTH_KM * math.pi / 2)
    with pytest.raises(UnusableData) as caught:
        default_bandwidth(np.zeros((30, 2)), KEYS[:30])
    assert caught.value.detail.code == "inference.same-location"


def test_the_bandwidth_of_many_rows_is_that_of_all_their_places_where_clusters_share_a_key():
    rng = np.random.default_rng(7)
    cluster = np.arange(10_000) % 20
    # Towns from the narrowest to the widest: whichever few clusters are asked, the answer would be theirs.
    places = (
        rng.uniform(30, 40, (20, 2))[cluster]
        + rng.standard_normal((10_000, 2)) * np.geomspace(0.01, 1, 20)[cluster, None]
    )
    each = default_bandwidth(places, rng.integers(0, 2**63, 10_000).astype(np.uint64))
    for _ in range(5):
        keys = rng.integers(0, 2**63, 20).astype(np.uint64)
        assert default_bandwidth(places, keys[cluster]) == pytest.approx(each, rel=0.15)
