import math

import pytest
from scipy import stats

from cqox.estimators.numerics.detection import detectable_ratio, f_noncentrality, smallest, t_power

# R 4.6.1, pwr 1.3.0: pwr.t.test(n = 64, d = .5), pwr.t.test(n = 50, d = .3, sig.level = .01, "greater"),
# pwr.t2n.test(n1 = 30, n2 = 70, d = .6); pwr.2p.test(h = .01, n = 80), its "greater".
PWR = [
    (0.5 / math.sqrt(2 / 64), 0.05, 126.0, False, 0.80145955792232759),
    (0.3 / math.sqrt(2 / 50), 0.01, 98.0, True, 0.19849992379849035),
    (0.6 / math.sqrt(1 / 30 + 1 / 70), 0.05, 98.0, False, 0.77713391252255815),
    (0.01 / math.sqrt(2 / 80), 0.05, None, False, 0.05045832927039234),
    (0.01 / math.sqrt(2 / 80), 0.05, None, True, 0.056869534873146124),
]


@pytest.mark.parametrize(("ratio", "alpha", "degrees", "one_sided", "power"), PWR)
def test_the_power_is_that_of_pwr(
    ratio: float, alpha: float, degrees: float | None, one_sided: bool, power: float
) -> None:
    assert t_power(ratio, alpha, degrees, one_sided=one_sided) == pytest.approx(power, abs=1e-12)


def test_an_effect_against_the_direction_of_the_test_is_that_of_pwr() -> None:
    # pwr.2p.test(h = .01, n = 80, alternative = "less")
    assert t_power(-0.01 / math.sqrt(2 / 80), 0.05, None, one_sided=True) == pytest.approx(0.0438089705093578)
    expected = stats.nct.sf(stats.t.isf(0.05, 12), 12, -0.7)
    assert t_power(-0.7, 0.05, 12.0, one_sided=True) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("degrees", [1.0, 2.5, 18.0, 1e3, 1e7])
@pytest.mark.parametrize("one_sided", [False, True])
def test_the_power_without_an_effect_is_the_level_and_a_huge_effect_is_found(degrees: float, one_sided: bool) -> None:
    assert t_power(0.0, 0.05, degrees, one_sided=one_sided) == pytest.approx(0.05, abs=1e-9)
    for ratio in (1e4, 1e10, 1e200):
        assert t_power(ratio, 0.05, degrees, one_sided=one_sided) == pytest.approx(1.0)


@pytest.mark.parametrize("degrees", [1.0, 3.0, 18.0, 400.0, None])
@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("power", [0.2, 0.8, 0.99])
def test_a_detectable_effect_has_the_power(degrees: float | None, one_sided: bool, power: float) -> None:
    ratio = detectable_ratio(0.05, degrees, power=power, one_sided=one_sided)
    assert t_power(ratio, 0.05, degrees, one_sided=one_sided) == pytest.approx(power, abs=1e-9)


@pytest.mark.parametrize("degrees", [1.0, 2.0])
def test_the_power_has_no_step_where_effects_become_huge(degrees: float) -> None:
    # With a critical value of thousands the power is neither 0 nor 1.
    alpha = 2 * float(stats.t.sf(9_000.0, degrees))
    below, above = (t_power(ratio, alpha, degrees) for ratio in (9_999.999, 10_000.001))
    assert 0.3 < below < 0.99
    assert above == pytest.approx(below, abs=1e-6)


def test_the_detectable_effect_is_that_of_pwr_and_the_known_constant() -> None:
    # pwr.t.test(n = 64, power = .8)$d, to the tolerance of its root
    assert detectable_ratio(0.05, 126.0) * math.sqrt(2 / 64) == pytest.approx(0.49907199124257134, abs=1e-5)
    assert detectable_ratio(0.05, None) == pytest.approx(2.8016, abs=1e-4)


@pytest.mark.parametrize(("numerator", "denominator"), [(1.0, 20.0), (3.0, 27.0), (12.0, 300.0)])
def test_an_f_test_at_the_noncentrality_has_the_power(numerator: float, denominator: float) -> None:
    size = f_noncentrality(0.05, numerator, denominator)
    critical = stats.f.isf(0.05, numerator, denominator)
    assert stats.ncf.sf(critical, numerator, denominator, size) == pytest.approx(0.8, abs=1e-9)


def test_the_square_of_a_detectable_t_is_the_noncentrality_of_an_f() -> None:
    assert detectable_ratio(0.05, 9.0) ** 2 == pytest.approx(f_noncentrality(0.05, 1.0, 9.0), rel=1e-9)


def test_the_search_ends_where_nothing_holds() -> None:
    assert smallest(lambda number: number >= 3.25, 1.0) == pytest.approx(3.25, rel=1e-12)
    assert smallest(lambda number: number >= 3.25, 100.0) == pytest.approx(3.25, rel=1e-12)
    assert smallest(lambda number: False, 1.0) == math.inf
