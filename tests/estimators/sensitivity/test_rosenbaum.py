import itertools
import math

import numpy as np
import pytest

from cqox.estimators.sensitivity.rosenbaum import (
    gamma_of_estimate,
    gamma_of_test,
    rank_bound,
    shift_bounds,
    signed_ranks,
)

EXPOSED = [38, 23, 41, 18, 37, 36, 23, 62, 31, 34, 24, 14, 21, 17, 16, 20, 15, 10, 45, 39, 22, 35, 49, 48, 44, 35, 43,
           39, 34, 13, 73, 25, 27]  # fmt: skip
CONTROL = [16, 18, 18, 24, 19, 11, 10, 15, 16, 18, 18, 13, 19, 10, 16, 16, 24, 13, 9, 14, 21, 19, 7, 18, 19, 12, 11, 22,
           25, 16, 13, 11, 13]  # fmt: skip
LEAD = np.asarray(EXPOSED, dtype=float) - CONTROL
"""Lead in the blood of children whose fathers worked with it, less that of others: Morton et al. 1982."""


@pytest.mark.parametrize(
    ("gamma", "upper"), [(1, 0.0), (2, 0.0018), (3, 0.0131), (4, 0.0367), (5, 0.0694), (6, 0.1073)]
)
def test_the_study_of_lead_has_the_p_values_of_rbounds(gamma: float, upper: float):
    found = rank_bound(signed_ranks(LEAD), gamma)
    assert round(found.upper, 4) == upper
    assert round(found.lower, 4) == 0


def test_the_study_of_lead_has_the_published_estimates():
    # Rosenbaum 2002, Observational Studies, section 4.3.4.
    found = shift_bounds(LEAD, (1, 2, 3, 4, 5))
    assert found == [(15, 15), (10.25, 19.5), (8, 23), (6.5, 25), (5, 26.5)]


@pytest.mark.parametrize("gamma", [1.0, 1.7, 3.0])
@pytest.mark.parametrize("ties", [False, True])
def test_expectation_and_variance_are_those_of_all_signs(gamma: float, ties: bool):
    rng = np.random.default_rng(2)
    d = rng.standard_normal(11) + 0.7
    d = np.round(d * 2) / 2 if ties else d
    ranks = signed_ranks(d)
    from scipy.stats import rankdata

    own = rankdata(np.abs(d[d != 0]))
    assert ranks.zeros == np.count_nonzero(d == 0)
    assert max(own[d[d != 0] > 0].sum(), own[d[d != 0] < 0].sum()) == pytest.approx(ranks.statistic)
    p = gamma / (1 + gamma)
    signs = np.asarray(list(itertools.product((0, 1), repeat=len(own))))
    chances = np.prod(np.where(signs, p, 1 - p), axis=1)
    sums = signs @ own
    mean = float(chances @ sums)
    deviation = math.sqrt(float(chances @ (sums - mean) ** 2))
    exact = float(chances @ (sums >= ranks.statistic - 1e-9))
    found = rank_bound(ranks, gamma).upper
    assert found == pytest.approx(0.5 * math.erfc((ranks.statistic - mean) / deviation / math.sqrt(2)))
    assert found == pytest.approx(exact, abs=0.07)


def test_no_allotment_of_bias_within_gamma_makes_the_p_value_leave_its_bounds():
    rng = np.random.default_rng(4)
    d = rng.standard_normal(10) + 0.6
    own = np.argsort(np.argsort(np.abs(d))) + 1.0
    ranks, gamma = signed_ranks(d), 2.0
    signs = np.asarray(list(itertools.product((0, 1), repeat=10)))
    beyond = signs @ own >= ranks.statistic

    def exact(p: np.ndarray) -> float:
        return float(np.prod(np.where(signs, p, 1 - p), axis=1)[beyond].sum())

    ends = exact(np.full(10, 1 / 3)), exact(np.full(10, 2 / 3))
    for _ in range(50):
        assert ends[0] - 1e-12 <= exact(rng.uniform(1 / (1 + gamma), gamma / (1 + gamma), 10)) <= ends[1] + 1e-12


def test_at_its_gamma_the_test_is_just_at_its_level():
    ranks = signed_ranks(LEAD)
    gamma = gamma_of_test(ranks, 0.1)
    assert gamma is not None
    assert rank_bound(ranks, gamma).upper == pytest.approx(0.05, rel=1e-9)
    assert gamma_of_test(signed_ranks(-LEAD), 0.1) == pytest.approx(gamma)
    assert signed_ranks(-LEAD).sign == -1


def test_at_its_gamma_the_estimate_reaches_nothing():
    d = np.random.default_rng(1).standard_normal(300) + 0.3
    gamma = gamma_of_estimate(signed_ranks(d))
    just, beyond = shift_bounds(d, (gamma - 0.01, gamma + 0.01))
    assert just[0] > 0 > beyond[0]


def test_a_difference_that_chance_explains_needs_no_bias():
    assert gamma_of_test(signed_ranks(np.asarray([1.0, -2.0, 3.0, -4.0, 5.0, -6.5])), 0.05) is None


def test_pairs_that_all_agree_have_no_gamma_for_the_estimate():
    assert gamma_of_estimate(signed_ranks(np.arange(1.0, 30.0))) == math.inf
    gamma = gamma_of_test(signed_ranks(np.arange(1.0, 30.0)), 0.05)
    assert gamma is not None
    assert 1 < gamma < math.inf


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("n", [401, 2500])
def test_bounds_of_many_pairs_are_quantiles_of_all_means(n: int, rounded: bool):
    d = np.random.default_rng(n).standard_normal(n) + 0.2
    d = np.round(4 * d) / 4 if rounded else d
    first, second = np.triu_indices(n)
    means = np.sort((d[first] + d[second]) / 2)
    for gamma, (lower, upper) in zip((1, 1.5, 3), shift_bounds(d, (1, 1.5, 3)), strict=True):
        for found, share in ((lower, 1 / (1 + gamma)), (upper, gamma / (1 + gamma))):
            assert found in means
            place = share * len(means)
            slack = 2 + 1e-6 * len(means)
            assert np.searchsorted(means, found) - slack <= place <= np.searchsorted(means, found, "right") + slack


def test_runs_of_very_many_pairs_stand_for_them():
    d = np.random.default_rng(7).standard_normal(9000) + 0.2
    from cqox.estimators.sensitivity import rosenbaum

    found = np.asarray(shift_bounds(d, (1, 2)))
    most = rosenbaum._MOST
    rosenbaum._MOST = 10**9
    try:
        exact = np.asarray(shift_bounds(d, (1, 2)))
    finally:
        rosenbaum._MOST = most
    assert np.abs(found - exact).max() < 0.01 / math.sqrt(9000)


def test_bounds_move_with_units_and_do_not_see_the_order():
    d = np.random.default_rng(3).standard_normal(900)
    found = np.asarray(shift_bounds(d, (1, 2)))
    assert np.asarray(shift_bounds(3 * d[::-1], (1, 2))) == pytest.approx(3 * found, rel=1e-6)
