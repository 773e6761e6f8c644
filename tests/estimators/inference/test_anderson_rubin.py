import math

import numpy as np
import pytest
from scipy import stats

from cqox.estimators.inference.anderson_rubin import ConfidenceSet, Moments, confidence_set


def single(y: float, t: float, *, tt: float, yt: float = 0.0) -> Moments:
    """The moments of one instrument, whose outcome has variance 1."""
    one = np.ones((1, 1))
    return Moments(y=np.array([y]), t=np.array([t]), yy=one, yt=one * yt, tt=one * tt, degrees=50.0)


def several(seed: int, strength: float) -> Moments:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((6, 6))
    variance = root @ root.T / 6
    t = strength * rng.standard_normal(3)
    return Moments(y=2 * t + rng.standard_normal(3), t=t, yy=variance[:3, :3], yt=variance[:3, 3:],
                   tt=variance[3:, 3:], degrees=40.0)  # fmt: skip


def test_the_statistic_is_the_quadratic_form_of_the_moment_at_the_effect():
    moments, effect = several(1, 1.0), 1.7
    moment = moments.y - effect * moments.t
    both = np.hstack([np.eye(3), -effect * np.eye(3)])
    whole = np.block([[moments.yy, moments.yt], [moments.yt.T, moments.tt]])
    expected = moment @ np.linalg.inv(both @ whole @ both.T) @ moment / 3
    assert moments.statistic(effect) == pytest.approx(expected, rel=1e-10)


def test_a_moment_without_variance_rejects_everything():
    zero = np.zeros((1, 1))
    moments = Moments(y=np.array([1.0]), t=np.array([1.0]), yy=zero, yt=zero, tt=zero, degrees=10.0)
    assert moments.statistic(0.0) == math.inf


def test_the_set_of_one_instrument_is_fiellers():
    moments, critical = single(6.0, 3.0, tt=0.5, yt=0.2), stats.f.ppf(0.95, 1, 50)
    # (6 - 3b)^2 = q (1 - 0.4 b + 0.5 b^2)
    low, high = sorted(np.roots([9 - 0.5 * critical, -36 + 0.4 * critical, 36 - critical]))
    found = confidence_set(moments, 0.05, "HC1")
    assert (found.kind, found.variance, found.bounded) == ("interval", "HC1", True)
    assert found.pieces[0] == pytest.approx((low, high), rel=1e-9)


def test_a_weak_instrument_leaves_two_rays_or_the_whole_line():
    rays = confidence_set(single(6.0, 1.0, tt=0.5), 0.05, "HC1")
    assert (rays.kind, rays.bounded) == ("two rays", False)
    (low, inner), (outer, high) = rays.pieces
    assert (low, high) == (-math.inf, math.inf)
    assert inner < outer
    line = confidence_set(single(0.5, 0.5, tt=0.5), 0.05, "HC1")
    assert (line.kind, line.pieces) == ("whole line", ((-math.inf, math.inf),))


def test_a_quadratic_without_its_square_has_one_end():
    # (6 - 2b)^2 = 4 (1 + b^2)
    assert single(6.0, 2.0, tt=1.0).ends(4.0) == pytest.approx([32 / 24])


def test_instruments_that_contradict_each_other_leave_nothing():
    eye = np.eye(2)
    moments = Moments(y=np.array([50.0, 0.0]), t=np.array([0.0, 50.0]), yy=eye, yt=0 * eye, tt=eye, degrees=50.0)
    found = confidence_set(moments, 0.05, "HC1")
    assert (found.kind, found.pieces, found.bounded) == ("empty", (), True)


@pytest.mark.parametrize("strength", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("seed", range(6))
def test_sets_of_several_instruments_agree_with_the_test_on_a_grid(seed: int, strength: float):
    moments = several(seed, strength)
    pieces = confidence_set(moments, 0.1, "HC1").pieces
    critical = stats.f.ppf(0.9, 3, 40)
    for effect in np.tan(np.linspace(-1.57, 1.57, 101)):
        inside = any(low <= effect <= high for low, high in pieces)
        assert inside == (moments.statistic(effect) <= critical)
    for end in (end for piece in pieces for end in piece if math.isfinite(end)):
        assert moments.statistic(end) == pytest.approx(critical, rel=1e-6)


def test_other_units_scale_the_set_and_a_negative_one_reverses_it():
    rays = ConfidenceSet(variance="HC1", kind="two rays", pieces=((-math.inf, 1.0), (3.0, math.inf)))
    assert rays.scaled(-2.0).pieces == ((-math.inf, -6.0), (-2.0, math.inf))
    assert rays.scaled(2.0).kind == "two rays"
    assert rays.json() == {"variance": "HC1", "kind": "two rays", "intervals": [[None, 1.0], [3.0, None]]}
