import numpy as np
import pytest

from cqox.estimators.numerics import neighbors
from cqox.estimators.numerics.neighbors import Line, Space


def sets(found, targets: int) -> np.ndarray:
    """(queries, targets) who is in whose set."""
    return np.column_stack([found.sums(each) for each in np.eye(targets)]) > 0.5


def space(control: np.ndarray, treated: np.ndarray, transform: np.ndarray | None = None) -> Space:
    """A search among the (2, n) places of both arms."""
    rows = np.arange(control.shape[1]), control.shape[1] + np.arange(treated.shape[1])
    return Space(np.hstack([control, treated]), rows, np.eye(2) if transform is None else transform, threads=1)


@pytest.mark.parametrize("least", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("decimals", [1, 9])
def test_the_stretch_on_a_line_is_the_nearest_and_all_as_near(least: int, decimals: int):
    rng = np.random.default_rng(least)
    control, treated = rng.random(40).round(decimals), rng.random(13).round(decimals)
    found = Line(control, treated).nearest(0, 1, least)
    apart = np.abs(control[:, None] - treated[None])
    expected = apart <= np.sort(apart, axis=1)[:, least - 1 : least] + 1e-10
    np.testing.assert_array_equal(sets(found, 13), expected)
    np.testing.assert_array_equal(found.counts, expected.sum(axis=1))


@pytest.mark.parametrize("within", [None, 0.02])
def test_how_many_rows_are_looked_for_at_a_time_changes_nothing(within: float | None, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(4)
    control, treated, values = rng.random(70).round(2), rng.random(30).round(2), rng.standard_normal(30)
    whole = Line(control, treated).nearest(0, 1, 2, within=within)
    monkeypatch.setattr(neighbors, "_BLOCK", 9)
    parts = Line(control, treated).nearest(0, 1, 2, within=within)
    np.testing.assert_array_equal(parts.counts, whole.counts)
    np.testing.assert_array_equal(parts.sums(values), whole.sums(values))


def test_places_are_counted_once_each():
    control, treated = np.array([[1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 3.0, 4.0]]), np.array([[1.0, 2.0], [5.0, 5.0]])
    search = space(control, treated)
    assert (search.cells(0), search.cells(1)) == (3, 2)


@pytest.mark.parametrize("least", [1, 2, 4])
@pytest.mark.parametrize("values", [3, 1000])
def test_the_lists_in_space_are_the_nearest_and_all_as_near(least: int, values: int):
    rng = np.random.default_rng(least)
    control, treated = (rng.integers(0, values, (2, n)).astype(float) for n in (50, 30))
    transform = np.array([[1.0, 0.0], [0.3, 0.8]])
    found = space(control, treated, transform).nearest(1, 0, least)
    places = [(transform @ each).T for each in (control, treated)]
    apart = np.linalg.norm(places[1][:, None] - places[0][None], axis=2)
    expected = apart <= np.sort(apart, axis=1)[:, least - 1 : least] + 1e-8
    np.testing.assert_array_equal(sets(found, 50), expected)


@pytest.mark.parametrize("kind", ["line", "space"])
def test_spreading_is_the_transpose_of_summing(kind: str):
    rng = np.random.default_rng(1)
    control, treated = rng.random((2, 60)).round(1), rng.random((2, 25)).round(1)
    search = Line(control[0], treated[0]) if kind == "line" else space(control, treated)
    for query, target in ((0, 1), (1, 0), (0, 0), (1, 1)):
        found = search.nearest(query, target, 2)
        v, w = rng.standard_normal((60, 25)[target]), rng.standard_normal((60, 25)[query])
        assert w @ found.sums(v) == pytest.approx(found.spread(w) @ v, rel=1e-10)


def test_many_cells_at_one_distance_are_all_found():
    angle = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    found = space(circle, np.zeros((2, 1))).nearest(1, 0, 1)
    assert found.counts[0] == 50


def test_rows_that_are_not_looked_for_have_no_neighbours():
    rng = np.random.default_rng(2)
    control, treated = rng.random((2, 20)), rng.random((2, 10))
    only = np.arange(10) < 4
    found = space(control, treated).nearest(1, 0, 3, only=only)
    np.testing.assert_array_equal(found.counts, np.where(only, 3.0, 0.0))
    assert not found.sums(np.ones(20))[~only].any()


@pytest.mark.parametrize("spread", [1e-7, 1e-3, 1.0])
def test_in_many_dimensions_neighbours_far_from_the_others_are_found_too(spread: float):
    rng = np.random.default_rng(5)
    near, far = (rng.standard_normal((2, 10, n)) for n in (150, 40))
    control, treated = np.concatenate([near, 30.0 + spread * far], axis=2)
    found = space(control, treated, np.eye(10)).nearest(1, 0, 3)
    apart = np.linalg.norm(treated.T[:, None] - control.T[None], axis=2)
    expected = apart <= np.sort(apart, axis=1)[:, 2:3] + 1e-9
    np.testing.assert_array_equal(sets(found, 190), expected)
