import math

import pytest
from scipy import stats

from cqox.estimators.numerics.quantiles import (
    chi_square_survival,
    critical_value,
    f_quantile,
    f_survival,
    noncentral_quantile,
    two_sided,
)


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.5])
def test_critical_values_are_those_of_the_normal_and_of_t(alpha: float):
    assert critical_value(alpha, None) == pytest.approx(stats.norm.isf(alpha / 2), rel=1e-12)
    for degrees in (1.0, 3.7, 250.0):
        assert critical_value(alpha, degrees) == pytest.approx(stats.t.isf(alpha / 2, degrees), rel=1e-9)


@pytest.mark.parametrize("degrees", [None, 1.0, 12.5])
def test_two_sided_p_values_ignore_the_sign_and_invert_the_critical_value(degrees: float | None):
    assert two_sided(0.0, degrees) == pytest.approx(1.0)
    assert two_sided(-1.7, degrees) == two_sided(1.7, degrees)
    assert two_sided(critical_value(0.03, degrees), degrees) == pytest.approx(0.03, rel=1e-9)


def test_a_p_value_far_in_the_tail_is_not_rounded_to_zero():
    assert two_sided(30.0, None) == pytest.approx(2 * stats.norm.sf(30.0), rel=1e-10)
    assert two_sided(40.0, 30.0) == pytest.approx(2 * stats.t.sf(40.0, 30), rel=1e-9)
    assert two_sided(math.inf, 5.0) == 0.0


def test_f_and_chi_square_are_those_of_scipy():
    assert f_quantile(0.95, 3, 17.5) == pytest.approx(stats.f.ppf(0.95, 3, 17.5), rel=1e-10)
    assert f_survival(4.2, 3, 17.5) == pytest.approx(stats.f.sf(4.2, 3, 17.5), rel=1e-10)
    assert f_survival(f_quantile(0.9, 2, 40), 2, 40) == pytest.approx(0.1, rel=1e-10)
    assert chi_square_survival(7.3, 4) == pytest.approx(stats.chi2.sf(7.3, 4), rel=1e-10)
    assert chi_square_survival(0.0, 4) == 1.0


def test_the_square_of_a_t_is_an_f_with_one_numerator():
    assert f_survival(2.3**2, 1, 9) == pytest.approx(two_sided(2.3, 9), rel=1e-10)


def test_noncentral_quantiles_are_those_of_scipy_and_central_at_zero():
    assert noncentral_quantile(0.95, 2.3, 23.0) == pytest.approx(stats.ncx2.ppf(0.95, 2.3, 23.0), rel=1e-6)
    assert noncentral_quantile(0.95, 2.0, 0.0) == pytest.approx(stats.chi2.ppf(0.95, 2), rel=1e-6)
