import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.rd.density import ORDER, densities, density_bandwidths
from cqox.estimators.rd.local_polynomial import Side
from cqox.estimators.rd.running_variable import Score, score_of


def score(values: np.ndarray) -> Score:
    data = Data(n=len(values), y=np.zeros(len(values)), running=values, cutoff=0.0,
                row_key=np.arange(len(values), dtype=np.uint64))  # fmt: skip
    plan = Plan(data, Settings())
    return score_of(plan, plan.sample("running"))


def sides_of(values: np.ndarray) -> tuple[Side, Side]:
    """Both sides with the share of the other rows at or below each row."""
    shares = (np.sum(values[None, :] <= values[:, None], axis=1) - 1) / (len(values) - 1)
    return score(values).sides(shares[None, :])


def drawn(n: int = 400, decimals: int | None = None) -> np.ndarray:
    values = np.random.default_rng(1).normal(0.3, 1, n)
    return values if decimals is None else np.round(values, decimals)


@pytest.mark.parametrize("decimals", [None, 1])
def test_densities_and_their_errors_are_slopes_of_a_cubic_in_the_distribution_function(decimals: int | None) -> None:
    values = drawn(decimals=decimals)
    found = densities(sides_of(values), np.array([0.9, 1.1]) / (unit := score(values).unit), len(values))
    shares = (np.sum(values[None, :] <= values[:, None], axis=1) - 1) / (len(values) - 1)
    for place, (own, reach) in enumerate(((values < 0, 0.9), (values >= 0, 1.1))):
        near = np.flatnonzero(own & (np.abs(values) <= reach))
        near = near[np.abs(values[near]) < reach * (1 + 1e-12)]
        w, x = 1 - np.abs(values[near]) / reach, np.vander(values[near], ORDER + 2, increasing=True)
        slope = (np.linalg.inv((x.T * w) @ x) @ (x.T * w))[1]
        assert found.values[place] / unit == pytest.approx(slope @ shares[near], rel=1e-8)
        # A row moves the distribution function at every other row at or above it.
        moved = (values[near][:, None] <= values[near][None, :]) & ~np.eye(len(near), dtype=bool)
        parts = moved @ slope / (len(values) - 1)
        assert found.errors[place] / unit == pytest.approx(np.linalg.norm(parts), rel=1e-8)
        assert found.within[place] == len(near)
        assert len(found.parts[place]) == len(near)


def test_the_curve_within_a_bandwidth_is_the_derivative_of_the_cubic() -> None:
    values = drawn()
    found = densities(sides_of(values), np.array([0.3, 0.3]), len(values))
    unit = score(values).unit
    shares = (np.sum(values[None, :] <= values[:, None], axis=1) - 1) / (len(values) - 1)
    for place, sign in enumerate((-1.0, 1.0)):
        distance = sign * values / unit
        near = (distance < 0.3) & ((values >= 0) == bool(place))
        cubic = np.polynomial.Polynomial.fit(distance[near], shares[near], 3, w=np.sqrt(1 - distance[near] / 0.3))
        expected = sign * cubic.convert().deriv().coef
        np.testing.assert_allclose(found.curves[place], expected, rtol=1e-6)
        assert found.curves[place][0] == pytest.approx(found.values[place])


def test_the_density_of_a_uniform_score_is_found_on_both_sides() -> None:
    values = (np.arange(4000) + 0.5) / 4000 - 0.5
    found = densities(sides_of(values), np.array([0.6, 0.6]), 4000)
    np.testing.assert_allclose(found.values / score(values).unit, [1.0, 1.0], atol=0.01)


def bandwidths(values: np.ndarray) -> np.ndarray:
    own = score(values)
    return density_bandwidths(sides_of(values), len(values), own.mean, own.deviation) * own.unit


def test_a_score_turned_round_turns_the_bandwidths_round() -> None:
    values = drawn()
    np.testing.assert_allclose(bandwidths(-values), bandwidths(values)[::-1], rtol=1e-6)


def test_bandwidths_are_in_the_unit_of_the_score() -> None:
    values = drawn()
    np.testing.assert_allclose(bandwidths(1e4 * values), 1e4 * bandwidths(values), rtol=1e-6)


@pytest.mark.parametrize("n", [50, 120])
def test_a_bandwidth_holds_enough_rows_and_does_not_leave_the_range(n: int) -> None:
    values = drawn(n)
    found = bandwidths(values)
    for own, reach in zip((values < 0, values >= 0), found, strict=True):
        assert np.count_nonzero(own & (np.abs(values) <= reach * (1 + 1e-9))) >= min(20 + ORDER + 1, own.sum())
    assert (found <= np.abs(values).max() * (1 + 1e-9)).all()
