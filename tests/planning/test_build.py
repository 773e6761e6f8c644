import math
from dataclasses import replace

import pytest

from cqox.errors import InvalidRequest, UnusableData
from cqox.planning.build import design_effect, effect_in_units, panel_estimator, study_of
from cqox.planning.designs import MeanDifference, RateDifference
from cqox.planning.facts import Facts, PanelFacts, with_given
from cqox.planning.panels import Moments
from tests.planning.test_arguments import PLAIN

PANEL = Facts(
    n=40, sds=(1.0, 1.0), measured=frozenset({"sds"}),
    panel=PanelFacts(Moments(1.0, 1.0, 0.5), (Moments(1.0, 1.0, 0.5), Moments(2.0, 2.0, 1.0)), 3, 2),
)  # fmt: skip


NOTHING = Facts()


def design(facts: Facts = NOTHING, size: float = 1.0, **given):
    arguments = replace(PLAIN, **given)
    return study_of(arguments, with_given(facts, arguments)).design(size)


def test_two_means_have_pooled_variances_less_what_covariates_explain() -> None:
    assert design(sd=2.0, r2=0.25) == MeanDifference(control_variance=3.0, treated_variance=3.0, pooled=True, lost=1)


def test_two_standard_deviations_are_not_pooled() -> None:
    assert design(sd=(1.0, 2.0)) == MeanDifference(control_variance=1.0, treated_variance=4.0, pooled=False)


def test_a_rate_has_the_test_that_was_asked_for_and_ends() -> None:
    given = replace(PLAIN, sd=None, baseline=0.2, rate_test="arcsine", r2=0.1)
    study = study_of(given, with_given(Facts(), given))
    assert study.design(1.0) == RateDifference(baseline=0.2, test="arcsine", inflation=0.9)
    assert (study.lowest, study.highest) == (-0.2, 0.8)


def test_clusters_have_the_variance_of_their_means() -> None:
    got = design(sd=2.0, icc=0.1, cluster_size=10, size=10.0)
    assert got.control_variance == pytest.approx(4 * (0.1 + 0.9 / 10))
    got = design(sd=None, baseline=0.2, icc=0.1, cluster_size=10, size=10.0)
    assert got == RateDifference(baseline=0.2, clustered=True, inflation=pytest.approx(0.19))
    assert design(icc=0.1, clusters=10, size=math.inf).control_variance == pytest.approx(0.1)


def test_a_panel_has_the_variance_of_changes() -> None:
    got = design(sd=2.0, periods_before=2, periods_after=1, autocorrelation=0.5)
    assert got.control_variance == pytest.approx(4 * 0.5 * (1 / 2 + 1))
    assert design(sd=None, baseline=0.5, periods_before=1, periods_after=1, autocorrelation=0.0) == MeanDifference(
        control_variance=0.5, treated_variance=0.5
    )
    ancova = design(sd=1.0, periods_before=1, periods_after=1, autocorrelation=0.5, estimator="ancova", r2=0.2)
    assert ancova.control_variance == pytest.approx(0.75 * 0.8)
    assert ancova.lost == 2


def test_a_measured_panel_has_the_variance_of_each_arm() -> None:
    got = design(PANEL, sd=None)
    assert (got.control_variance, got.treated_variance, got.pooled) == (1.0, 2.0, False)
    got = design(PANEL, sd=None, estimator="ancova")
    assert (got.control_variance, got.treated_variance) == (0.75, 1.5)
    modelled = design(PANEL, sd=None, autocorrelation=0.5)
    assert modelled.control_variance == pytest.approx(0.5 * (1 / 3 + 1 / 2))


def test_a_measured_panel_with_a_given_standard_deviation_needs_its_correlation() -> None:
    for given in ({"sd": 2.0}, {"sd": None, "serial_correlation": 0.5}):
        with pytest.raises(InvalidRequest, match="Give autocorrelation"):
            design(PANEL, **given)


def test_pairs_have_what_their_correlation_leaves() -> None:
    assert design(sd=2.0, pair_correlation=0.75) == MeanDifference(
        control_variance=1.0, treated_variance=1.0, pairs=True
    )


@pytest.mark.parametrize(
    ("facts", "given", "estimator"),
    [
        (Facts(), {}, None), (PANEL, {}, "did"), (PANEL, {"estimator": "ancova"}, "ancova"),
        (Facts(), {"periods_before": 0, "periods_after": 2}, "post"),
        (Facts(), {"periods_before": 1, "periods_after": 2}, "did"),
    ],
)  # fmt: skip
def test_periods_are_compared_by_the_change_if_there_is_one(facts: Facts, given, estimator: str | None) -> None:
    assert panel_estimator(replace(PLAIN, **given), facts) == estimator


def test_a_relative_effect_is_a_share_of_the_baseline() -> None:
    facts = Facts(sds=(1.0, 1.0), baseline=-4.0)
    assert effect_in_units(replace(PLAIN, effect=0.1, relative=True), facts) == pytest.approx(0.4)
    assert effect_in_units(replace(PLAIN, effect=0.1), facts) == 0.1
    assert effect_in_units(PLAIN, facts) is None
    with pytest.raises(InvalidRequest, match="needs a baseline"):
        effect_in_units(replace(PLAIN, effect=0.1, relative=True), Facts(sds=(1.0, 1.0)))


@pytest.mark.parametrize(("effect", "fits"), [(0.9, True), (-0.1, True), (0.91, False), (-0.11, False)])
def test_a_rate_stays_between_zero_and_one(effect: float, fits: bool) -> None:
    facts = Facts(rate=True, baseline=0.1)
    if fits:
        assert effect_in_units(replace(PLAIN, effect=effect), facts) == effect
        return
    with pytest.raises(InvalidRequest, match="outside of 0 to 1"):
        effect_in_units(replace(PLAIN, effect=effect), facts)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_measured_rate_at_an_end_has_no_noise(rate: float) -> None:
    with pytest.raises(UnusableData, match="from which no noise follows"):
        effect_in_units(PLAIN, Facts(rate=True, baseline=rate))


def test_the_design_effect_is_of_what_covariates_leave() -> None:
    assert design_effect(Facts(icc=0.1), 20) == pytest.approx(2.9)
    assert design_effect(Facts(icc=0.1, r2=0.0, r2_clusters=0.999), 20) == pytest.approx(1.0, abs=0.05)
    assert design_effect(Facts(icc=0.1, cluster_size_cv=1.0), 20) == pytest.approx(1 + (2 * 20 - 1) * 0.1)
