"""Bounds for missing outcomes."""

import itertools

import numpy as np
import pytest

from cqox.errors import UnusableData
from cqox.estimators.adjustment.missing_outcome_bounds import trimming_bounds, worst_case_bounds


def attrited(n: int, seed: int, *, effect: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Treatment keeps some people in whom only treatment keeps, and they are not like the others."""
    rng = np.random.default_rng(seed)
    treated = (rng.random(n) < 0.5).astype(float)
    always = rng.random(n) < 0.7
    complier = ~always & (rng.random(n) < 0.5)
    y = np.where(always, 0.0, 1.5) + effect * treated + rng.standard_normal(n)
    y[~(always | (complier & (treated > 0)))] = np.nan
    return y, treated


def test_worst_case_bounds_are_the_extremes_over_all_ways_to_fill_in():
    y = np.array([1.0, 0.0, np.nan, 1.0, np.nan, 0.0, 1.0, np.nan])
    treated = np.array([1.0, 1, 1, 0, 0, 0, 0, 1])
    gaps = np.flatnonzero(np.isnan(y))
    effects = []
    for fill in itertools.product((0.0, 1.0), repeat=len(gaps)):
        filled = y.copy()
        filled[gaps] = fill
        effects.append(filled[treated > 0].mean() - filled[treated == 0].mean())
    found = worst_case_bounds(y, treated, None, None, 0.05)
    assert (found.lower, found.upper) == (pytest.approx(min(effects)), pytest.approx(max(effects)))
    assert found.ci_lower < found.lower < found.upper < found.ci_upper


def test_a_wider_range_of_outcomes_widens_the_bounds_and_a_narrower_one_is_refused():
    y, treated = attrited(500, 1)
    narrow, wide = (worst_case_bounds(y, treated, None, ends, 0.05) for ends in (None, (-20.0, 20.0)))
    assert wide.lower < narrow.lower < narrow.upper < wide.upper
    with pytest.raises(UnusableData, match="outcomes lie outside"):
        worst_case_bounds(y, treated, None, (0.0, 1.0), 0.05)


def test_trimming_bounds_drop_the_share_that_treatment_kept():
    y = np.array([1.0, 2, 3, 4, 5, 1, 2, 3, np.nan, np.nan])
    treated = np.repeat([1.0, 0.0], 5)
    found = trimming_bounds(y, treated, None, 0.05)
    assert found.trimmed == pytest.approx(0.4)
    assert (found.lower, found.upper) == (pytest.approx(2.0 - 2.0), pytest.approx(4.0 - 2.0))
    mirrored = trimming_bounds(y, 1 - treated, None, 0.05)
    assert (mirrored.lower, mirrored.upper) == (pytest.approx(-found.upper), pytest.approx(-found.lower))
    assert mirrored.lower_se == pytest.approx(found.upper_se)


def test_a_row_twice_at_half_its_weight_is_the_same_bound():
    y, treated = attrited(300, 2)
    weights = np.random.default_rng(3).uniform(0.5, 2.0, 300)
    single = trimming_bounds(y, treated, weights, 0.05)
    double = trimming_bounds(np.tile(y, 2), np.tile(treated, 2), np.tile(weights / 2, 2), 0.05)
    assert (double.lower, double.upper) == (pytest.approx(single.lower), pytest.approx(single.upper))
    worst, again = (worst_case_bounds(*data, None, 0.05) for data in ((y, treated, weights), (y, treated, 7 * weights)))
    assert (again.lower, again.lower_se) == (pytest.approx(worst.lower), pytest.approx(worst.lower_se))


@pytest.mark.parametrize("bounds", ["worst case", "trimming"])
def test_standard_errors_are_the_spread_of_the_bounds(bounds: str):
    found = []
    for seed in range(400):
        y, treated = attrited(600, 100 + seed)
        found.append(
            trimming_bounds(y, treated, None, 0.05)
            if bounds == "trimming"
            else worst_case_bounds(y, treated, None, (-8.0, 8.0), 0.05)
        )
    for end in ("lower", "upper"):
        spread = np.std([getattr(each, end) for each in found])
        assert np.mean([getattr(each, f"{end}_se") for each in found]) == pytest.approx(spread, rel=0.12)
    covered = np.mean([each.ci_lower <= 1.0 <= each.ci_upper for each in found])
    assert covered >= 0.93


def test_an_arm_without_outcomes_has_no_bounds():
    y = np.array([np.nan, np.nan, 1.0, 2.0])
    with pytest.raises(UnusableData, match="No treated row"):
        worst_case_bounds(y, np.array([1.0, 1, 0, 0]), None, None, 0.05)


def test_errors_of_bounds_sum_within_clusters():
    y, treated = attrited(400, 5)
    copies = np.tile(np.arange(400), 2)
    twice = np.tile(y, 2), np.tile(treated, 2)
    for bounds in (
        lambda y, t, codes: trimming_bounds(y, t, None, 0.05, codes),
        lambda y, t, codes: worst_case_bounds(y, t, None, None, 0.05, codes),
    ):
        once = bounds(y, treated, ())
        # Two copies of each row are one cluster: the errors are those of the rows, but for G/(G - 1).
        clustered = bounds(*twice, (copies,))
        assert clustered.lower_se == pytest.approx(once.lower_se * np.sqrt(400 / 399), rel=1e-6)
        assert bounds(*twice, ()).lower_se < 0.75 * once.lower_se
