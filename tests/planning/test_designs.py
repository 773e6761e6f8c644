"""Powers at given arms, against programs whose results are stored here with their calls."""

import math

import numpy as np
import pytest
from scipy import stats

from cqox.planning.designs import Arms, Level, MeanDifference, RateDifference, split

TWO_SIDED, ONE_SIDED = Level(0.05, False), Level(0.05, True)


def means(control: float = 1.0, treated: float | None = None, *, pooled: bool = True) -> MeanDifference:
    """A design by standard deviations."""
    other = control if treated is None else treated
    return MeanDifference(control_variance=control**2, treated_variance=other**2, pooled=pooled)


# R 4.6.1, pwr 1.3.0: pwr.t.test(n = 64, d = .5), (n = 50, d = .3, sig.level = .01, "greater"), (n = 40, d = -.4,
# "less"), pwr.t2n.test(n1 = 30, n2 = 70, d = .6).
@pytest.mark.parametrize(
    ("arms", "effect", "level", "power"),
    [
        (Arms(64, 64), 0.5, TWO_SIDED, 0.80145955792232759),
        (Arms(50, 50), 0.3, Level(0.01, True), 0.19849992379849035),
        (Arms(40, 40), -0.4, ONE_SIDED, 0.55110547917017338),
        (Arms(30, 70), 0.6, TWO_SIDED, 0.77713391252255815),
    ],
)
def test_a_difference_of_means_has_the_power_of_pwr(arms: Arms, effect: float, level: Level, power: float) -> None:
    assert means().power(arms, effect, level) == pytest.approx(power, abs=1e-10)


def test_a_difference_of_means_has_the_power_of_statsmodels_at_any_ratio() -> None:
    from statsmodels.stats.power import TTestIndPower

    for control, ratio, effect, alpha in [(20, 1.0, 0.4, 0.05), (150, 0.1, 0.3, 0.1), (9, 4.0, 1.2, 0.01)]:
        expected = TTestIndPower().power(effect, control, alpha, ratio=ratio)
        got = means(3.0).power(Arms(control, control * ratio), 3.0 * effect, Level(alpha, False))
        assert got == pytest.approx(expected, abs=1e-9)


def test_unequal_variances_have_the_power_of_sas() -> None:
    # SAS/STAT 14.1, Power and Sample Size Application: Satterthwaite t, one-sided, means 132 and 120, standard
    # deviations 12 and 15, 25 in each group: .924.
    assert means(12, 15, pooled=False).power(Arms(25, 25), 12, ONE_SIDED) == pytest.approx(0.924, abs=5e-4)


def test_unequal_variances_have_the_degrees_of_welch() -> None:
    rng = np.random.default_rng(0)
    control, treated = rng.normal(0, 1, 12), rng.normal(0, 4, 31)
    design = means(float(control.std(ddof=1)), float(treated.std(ddof=1)), pooled=False)
    expected = stats.ttest_ind(treated, control, equal_var=False)
    assert design.degrees(Arms(12, 31)) == pytest.approx(expected.df)
    error = (treated.mean() - control.mean()) / expected.statistic
    assert design.standard_error(Arms(12, 31)) == pytest.approx(error)


def test_an_arm_of_one_has_no_variance_of_its_own() -> None:
    assert means(1, 2, pooled=False).degrees(Arms(20, 1)) == 0
    assert means().degrees(Arms(20, 1)) == 19


def test_pairs_have_the_power_of_a_paired_test() -> None:
    from statsmodels.stats.power import TTestPower

    correlation, pairs = 0.6, 23
    design = MeanDifference(control_variance=1 - correlation, treated_variance=1 - correlation, pairs=True)
    expected = TTestPower().power(0.5 / math.sqrt(2 * (1 - correlation)), pairs, 0.05)
    assert design.power(Arms(pairs, pairs), 0.5, TWO_SIDED) == pytest.approx(expected, abs=1e-9)


# R 4.6.1: power.prop.test(n = 300, p1 = .35, p2 = .25, strict = TRUE); pwr 1.3.0: pwr.2p.test(h = ES.h(.35, .25),
# n = 300), its n = 200 "greater", and pwr.2p2n.test(n1 = 200, n2 = 400).
@pytest.mark.parametrize(
    ("test", "arms", "level", "power"),
    [
        ("score", Arms(300, 300), TWO_SIDED, 0.76329251460197267),
        ("arcsine", Arms(300, 300), TWO_SIDED, 0.76457082075182248),
        ("arcsine", Arms(200, 200), ONE_SIDED, 0.7068506849065106),
        ("arcsine", Arms(200, 400), TWO_SIDED, 0.71489993549703923),
    ],
)
def test_a_difference_of_rates_has_the_power_of_r(test, arms: Arms, level: Level, power: float) -> None:
    assert RateDifference(baseline=0.25, test=test).power(arms, 0.1, level) == pytest.approx(power, abs=1e-10)


@pytest.mark.parametrize(("baseline", "effect", "ratio"), [(0.1, 0.05, 1.0), (0.3, -0.1, 0.5), (0.02, 0.03, 3.0)])
def test_a_score_test_has_the_power_of_statsmodels(baseline: float, effect: float, ratio: float) -> None:
    from statsmodels.stats.proportion import power_proportions_2indep

    peer = power_proportions_2indep(effect, baseline, 400 * ratio, ratio=1 / ratio, alpha=0.05)
    got = RateDifference(baseline=baseline).power(Arms(400, 400 * ratio), effect, TWO_SIDED)
    assert got == pytest.approx(peer.power, abs=1e-6)


def enumerated(baseline: float, treated: float, arms: tuple[int, int], *, pooled: bool) -> float:
    """Power of a z test over every pair of counts."""
    zero, one = np.arange(arms[0] + 1)[:, None], np.arange(arms[1] + 1)[None]
    weight = stats.binom.pmf(zero, arms[0], baseline) * stats.binom.pmf(one, arms[1], treated)
    rates = zero / arms[0], one / arms[1]
    mean = (zero + one) / sum(arms)
    variance = mean * (1 - mean) * (1 / arms[0] + 1 / arms[1])
    if not pooled:
        variance = sum(rate * (1 - rate) / n for rate, n in zip(rates, arms, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.abs(rates[1] - rates[0]) > stats.norm.isf(0.025) * np.sqrt(variance)
    return float(weight[found].sum())


@pytest.mark.parametrize(
    ("baseline", "effect", "arms"),
    [(0.3, 0.2, (90, 90)), (0.1, 0.1, (200, 200)), (0.02, 0.03, (600, 200)), (0.12, -0.07, (300, 100))],
)
def test_powers_of_rates_are_near_those_by_enumeration(baseline: float, effect: float, arms: tuple[int, int]) -> None:
    for test, pooled in (("score", True), ("wald", False)):
        got = RateDifference(baseline=baseline, test=test).power(Arms(*arms), effect, TWO_SIDED)
        assert got == pytest.approx(enumerated(baseline, baseline + effect, arms, pooled=pooled), abs=0.04)


def test_clustered_rates_have_the_power_of_pass() -> None:
    # clusterPower's own tests: PASS 11 has .86 for 13 clusters of 150 in each arm, rates .1 and .2 and an ICC of .05
    # with a normal statistic, and the NIH calculator 12 of them (rounded) for 80% with t.
    inflation = 0.05 + 0.95 / 150
    normal = RateDifference(baseline=0.1, test="wald", inflation=inflation)
    assert normal.power(Arms(13, 13), 0.1, TWO_SIDED) == pytest.approx(0.86, abs=5e-4)
    design = RateDifference(baseline=0.1, clustered=True, inflation=inflation)
    assert design.power(Arms(12, 12), 0.1, TWO_SIDED) < 0.8 < design.power(Arms(12.5, 12.5), 0.1, TWO_SIDED)


def test_a_rate_that_reaches_one_has_no_variance() -> None:
    for test in ("score", "arcsine", "wald"):
        got = RateDifference(baseline=0.5, test=test).power(Arms(30, 30), 0.5 + 1e-16, TWO_SIDED)
        assert 0.99 < got <= 1.0


def test_arms_are_whole_and_never_empty() -> None:
    assert split(101, 1.0, whole=True) == (50, 51)
    assert split(101, 1.0, whole=False) == (50.5, 50.5)
    assert split(10, 0.001, whole=True) == (9, 1)
    assert split(10, 1000.0, whole=True) == (1, 9)
    assert split(1000, 193 / 807, whole=True) == (807, 193)
