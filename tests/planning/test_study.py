"""Sizes and effects that have a power, against programs whose results are stored here with their calls."""

import math

import pytest

from cqox.planning.clusters import cluster_mean_variance, components
from cqox.planning.designs import Arms, Level, MeanDifference, RateDifference
from cqox.planning.study import Size, Study

TWO_SIDED = Level(0.05, False)


def of_means(control: float = 1.0, treated: float | None = None, **settings) -> Study:
    """Two means by their standard deviations."""
    other = control if treated is None else treated
    design = MeanDifference(control_variance=control**2, treated_variance=other**2, pooled=treated is None)
    return Study(**{"design": lambda size: design, "level": TWO_SIDED, **settings})


def of_rates(baseline: float, **settings) -> Study:
    design = RateDifference(baseline=baseline, **settings)
    return Study(design=lambda size: design, level=TWO_SIDED, lowest=-baseline, highest=1 - baseline)


def of_clusters(icc: float, *, r2: float = 0.0, r2_clusters: float = 0.0, lost: int = 0, **settings) -> Study:
    parts = components(1.0, icc, r2, r2_clusters)

    def design(size: float) -> MeanDifference:
        variance = cluster_mean_variance(parts, size)
        return MeanDifference(control_variance=variance, treated_variance=variance, lost=lost)

    return Study(**{"design": design, "level": TWO_SIDED, **settings})


# Stata 15: power twomeans 8 12, sd(9): 81 a group; 0 .1: 1,571; 53 51.0198, sd(9.900891): 394; power twoproportions
# .3 .5: 93, .5 .7: 93, .025 .0125: 1,848.
@pytest.mark.parametrize(
    ("study", "effect", "group"),
    [
        (of_means(9.0), 4.0, 81), (of_means(), 0.1, 1571), (of_means(9.900891), -1.9801782, 394),
        (of_rates(0.3), 0.2, 93), (of_rates(0.5), 0.2, 93), (of_rates(0.025), -0.0125, 1848),
    ],
)  # fmt: skip
def test_sizes_are_those_of_stata(study: Study, effect: float, group: int) -> None:
    assert study.size(effect, 0.8) == Size(Arms(group, group), 1.0)


# pwr 1.3.0: pwr.t.test(d = .5, power = .8)$n = 63.77; pwr.2p.test(h = ES.h(.35, .25), power = .8)$n = 327.58;
# power.prop.test(p1 = .35, p2 = .25, power = .8, strict = TRUE)$n = 328.47; MESS power_t_test(delta = 16.75197,
# sd = 16.33323, sd.ratio = 25.22202 / 16.33323, power = .9, df.method = "welch", strict = TRUE)$n = 34.96.
@pytest.mark.parametrize(
    ("study", "effect", "power", "group"),
    [
        (of_means(), 0.5, 0.8, 64), (of_rates(0.25, test="arcsine"), 0.1, 0.8, 328), (of_rates(0.25), 0.1, 0.8, 329),
        (of_means(16.33323, 25.22202), 16.75197, 0.9, 35),
    ],
)  # fmt: skip
def test_sizes_are_those_of_r(study: Study, effect: float, power: float, group: int) -> None:
    found = study.size(effect, power)
    assert found == Size(Arms(group, group), 1.0)
    fewer = study.sized(2 * group - 2)
    assert study.power(fewer, effect) < power <= study.power(found, effect)


def test_effects_are_those_of_statsmodels_and_r() -> None:
    from statsmodels.stats.power import TTestIndPower

    study = of_means(ratio=7 / 3)
    found = study.effect(study.sized(100), 0.9)
    assert found == pytest.approx(TTestIndPower().solve_power(nobs1=30, ratio=7 / 3, power=0.9, alpha=0.05), rel=1e-5)
    # pwr.t2n.test(n1 = 30, n2 = 70, power = .9)$d, to the tolerance of its root.
    assert found == pytest.approx(0.7143758832857926, abs=1e-4)
    assert study.effect(study.sized(100), 0.9, lower=True) == pytest.approx(-found)


def test_clusters_have_the_powers_of_powerupr() -> None:
    # PowerUpR 1.1.0: power.cra2r2(es = .25, rho2 = .1, n = 20, J = 40, r21 = .3, r22 = .5, g2 = 1), its mdes (which
    # adds two quantiles of t); power.cra2r2(es = .3, rho2 = .2, n = 10, J = 30, p = .4, two.tailed = FALSE). It leaves
    # out that the arms differ in covariates by chance.
    study = of_clusters(0.1, r2=0.3, r2_clusters=0.5, lost=1, cluster_size=20.0)
    by_chance = math.sqrt(1 + 1 / (40 - 1 - 3))
    assert study.power(study.sized(800), 0.25 * by_chance) == pytest.approx(0.76937308867198606, abs=1e-9)
    assert study.effect(study.sized(800), 0.8) == pytest.approx(0.25978539817059959 * by_chance, abs=1e-4)
    study = of_clusters(0.2, cluster_size=10.0, ratio=0.4 / 0.6, level=Level(0.05, True))
    assert study.power(study.sized(300), 0.3) == pytest.approx(0.43626942909233579, abs=1e-9)
    # mdes.cra2r2(rho2 = .17, n = 15, J = 20) prints .629, mdes.ira1r1(n = 250) .356.
    study = of_clusters(0.17, cluster_size=15.0)
    assert study.effect(study.sized(300), 0.8) == pytest.approx(0.629, abs=5e-4)
    assert of_means().effect(of_means().sized(250), 0.8) == pytest.approx(0.356, abs=5e-4)


def test_clusters_have_the_sizes_of_pass_and_the_nih_calculator() -> None:
    # clusterPower's own tests: 5 clusters of 150 in each arm, ICC .05, detect .4804988, and as many rows are needed.
    study = of_clusters(0.05, cluster_size=150.0)
    assert study.effect(study.sized(1500), 0.8) == pytest.approx(0.4804988, abs=1e-5)
    assert study.size(0.4804988, 0.8) == Size(Arms(5, 5), 150.0)
    fixed = of_clusters(0.05, clusters=10)
    assert fixed.size(0.4804988, 0.8) == Size(Arms(5, 5), 150.0)
    assert fixed.size(0.4804988, 0.8).n == 1500


def test_no_number_of_rows_makes_up_for_too_few_clusters() -> None:
    study = of_clusters(0.05, clusters=10)
    assert study.size(0.3, 0.8) is None
    endless = Size(Arms(5, 5), math.inf)
    assert study.power(endless, 0.3) < 0.8
    assert study.power(endless, study.effect(endless, 0.8)) == pytest.approx(0.8)


def test_an_effect_too_small_for_any_study_has_no_size() -> None:
    assert of_means().size(1e-9, 0.8) is None


def test_a_rate_has_no_detectable_change_in_a_tiny_study() -> None:
    study = of_rates(0.9)
    assert study.effect(study.sized(6), 0.8) is None
    found = study.effect(study.sized(200), 0.8, lower=True)
    assert study.power(study.sized(200), found) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("study", "least"),
    [(of_means(), 3), (of_means(1, 2), 4), (of_means(1, 2, ratio=0.05), 22), (of_means(pairs=True), 4)],
)
def test_the_least_size_is_the_first_that_is_testable(study: Study, least: int) -> None:
    assert study.least() == least
    assert study.testable(study.sized(least))
    assert not study.testable(study.sized(least - 1))


@pytest.mark.parametrize("ratio", [0.04, 0.5, 1.0, 3.7])
@pytest.mark.parametrize("effect", [0.11, 0.4, 1.7, 12.0, 1e6])
def test_a_size_has_no_less_than_the_power(ratio: float, effect: float) -> None:
    for study in (of_means(ratio=ratio), of_means(1.0, 2.0, ratio=ratio)):
        found = study.size(effect, 0.9)
        assert study.testable(found)
        assert study.power(found, effect) >= 0.9


def test_a_size_counts_rows_of_clusters_and_both_rows_of_a_pair() -> None:
    assert Size(Arms(3, 4), 12.5).n == 88
    study = of_means(pairs=True)
    assert study.sized(15).arms == Arms(7, 7)
    assert of_clusters(0.1, clusters=9).sized(90) == Size(Arms(4, 5), 10.0)
    assert of_clusters(0.1, cluster_size=20.0).sized(90) == Size(Arms(2, 2), 20.0)
