"""Variances of panel estimators, against published formulas and the sandwich of the regression itself."""

import numpy as np
import pytest

from cqox.planning.panels import Moments, contrast_variance, correlations, moments, weight_of_before


def variance(estimator, before: int, after: int, autocorrelation: float, serial: float = 0.0) -> float:
    """Variance of what an estimator compares, of an outcome with a variance of 1."""
    found = moments(correlations(before + after, autocorrelation, serial), before)
    return contrast_variance(found, weight_of_before(estimator, found))


@pytest.mark.parametrize(("m", "r", "rho"), [(1, 1, 0.25), (1, 3, 0.7), (4, 2, 0.5), (2, 5, 0.0)])
def test_variances_are_those_of_mckenzie_under_a_constant_correlation(m: int, r: int, rho: float) -> None:
    # McKenzie 2012, equations 2 to 4, as Stata's sampsi has them.
    post = (1 + (r - 1) * rho) / r
    assert variance("post", 0, r, rho) == pytest.approx(post)
    assert variance("did", m, r, rho) == pytest.approx(post + (1 + (m - 1) * rho) / m - 2 * rho)
    assert variance("did", m, r, rho) == pytest.approx((1 - rho) * (1 / m + 1 / r))
    assert variance("ancova", m, r, rho) == pytest.approx(post - m * rho**2 / (1 + (m - 1) * rho))


def pcpanel(m: int, r: int, ar1: float, sd2: float) -> float:
    """The variance in parentheses of pcpanel's pc_dd_analytic 3.0 with population parameters (Burlig et al., eq. 5)."""

    def mean_covariance(first: range, second: range) -> float:
        pairs = [sd2 * ar1 ** abs(s - t) for s in first for t in second if s != t]
        return float(np.mean(pairs)) if pairs else 0.0

    before, after = range(m), range(m, m + r)
    return (
        (m + r) / (m * r) * sd2
        + (m - 1) / m * mean_covariance(before, before)
        + (r - 1) / r * mean_covariance(after, after)
        - 2 * mean_covariance(before, after)
    )


@pytest.mark.parametrize(("m", "r"), [(1, 1), (3, 3), (5, 20), (4, 1)])
@pytest.mark.parametrize("ar1", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("lasting", [0.0, 0.4])
def test_the_change_has_the_variance_of_pcpanel(m: int, r: int, ar1: float, lasting: float) -> None:
    # Unit effects cancel: what varies is the idiosyncratic part, of variance 1 - ρ.
    assert variance("did", m, r, lasting, ar1) == pytest.approx(pcpanel(m, r, ar1, 1 - lasting), rel=1e-12)


@pytest.mark.parametrize("serial", [-0.4, 0.0, 0.8])
def test_the_change_has_the_variance_of_two_way_fixed_effects(serial: float) -> None:
    units, treated, m, r = 6, 2, 3, 4
    periods = m + r
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    interaction = ((unit < treated) & (time >= m)).astype(float)
    design = np.column_stack(
        [interaction, *(unit == each for each in range(units)), *(time == each for each in range(1, periods))]
    ).astype(float)
    weights = np.linalg.pinv(design)[0]
    one = correlations(periods, 0.3, serial)
    exact = sum(weights[unit == each] @ one @ weights[unit == each] for each in range(units))
    assert variance("did", m, r, 0.3, serial) * (1 / treated + 1 / (units - treated)) == pytest.approx(exact)


@pytest.mark.parametrize("serial", [0.0, 0.7])
def test_ancova_has_the_residual_variance_of_a_regression_on_the_mean_before(serial: float) -> None:
    m, r = 3, 2
    one = correlations(m + r, 0.4, serial)
    means = np.zeros((2, m + r))
    means[0, :m], means[1, m:] = 1 / m, 1 / r
    (before, cross), (_, after) = means @ one @ means.T
    assert variance("ancova", m, r, 0.4, serial) == pytest.approx(after - cross**2 / before)
    assert variance("ancova", m, r, 0.4, serial) <= min(
        variance("did", m, r, 0.4, serial), variance("post", 0, r, 0.4, serial)
    )


def test_correlations_fade_to_what_lasts() -> None:
    found = correlations(40, 0.3, 0.5)
    assert np.diag(found) == pytest.approx(1.0)
    assert found[0, 1] == pytest.approx(0.3 + 0.7 * 0.5)
    assert found[0, 39] == pytest.approx(0.3, abs=1e-9)
    assert np.linalg.eigvalsh(found).min() > 0
    assert correlations(3, 0.3) == pytest.approx(np.full((3, 3), 0.3) + 0.7 * np.eye(3))


def test_without_periods_before_there_is_nothing_to_take_off() -> None:
    found = moments(correlations(4, 0.5), 0)
    assert found == Moments(0.0, pytest.approx(0.625), 0.0)
    assert weight_of_before("post", found) == 0.0
