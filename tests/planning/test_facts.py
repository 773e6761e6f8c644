from dataclasses import replace

import pytest

from cqox.planning.facts import Facts, with_given
from tests.planning.test_arguments import PLAIN

MEASURED = Facts(
    n=600, sds=(1.0, 2.0), by_arm=True, baseline=5.0, ratio=0.5, r2=0.3, covariates=2, icc=0.1, cluster_size=20.0,
    measured=frozenset({"n", "sds", "baseline", "ratio", "r2", "icc", "cluster_size"}),
)  # fmt: skip


def test_a_number_that_is_given_replaces_the_measured_one() -> None:
    facts = with_given(MEASURED, replace(PLAIN, sd=3.0, icc=0.2))
    assert (facts.sds, facts.by_arm, facts.icc, facts.baseline) == ((3.0, 3.0), False, 0.2, 5.0)
    assert facts.measured == {"n", "baseline", "ratio", "r2", "cluster_size"}


def test_measured_numbers_stay() -> None:
    assert with_given(MEASURED, replace(PLAIN, sd=None)) == MEASURED


def test_two_standard_deviations_are_of_the_arms() -> None:
    facts = with_given(Facts(), replace(PLAIN, sd=(1.0, 3.0)))
    assert (facts.sds, facts.by_arm) == ((1.0, 3.0), True)


def test_a_baseline_without_a_standard_deviation_is_a_rate() -> None:
    assert with_given(Facts(), replace(PLAIN, sd=None, baseline=0.1)).rate
    assert not with_given(Facts(), replace(PLAIN, sd=1.0, baseline=0.1)).rate
    assert not with_given(replace(MEASURED, rate=True), replace(PLAIN, sd=0.4)).rate


@pytest.mark.parametrize(
    ("given", "covariates"), [({}, 0), ({"r2": 0.5}, 1), ({"r2": 0.0}, 0), ({"r2_clusters": 0.2}, 1)]
)
def test_covariates_that_are_given_as_a_share_take_one_degree(given: dict[str, float], covariates: int) -> None:
    assert with_given(Facts(), replace(PLAIN, **given)).covariates == covariates


def test_fixed_clusters_have_the_measured_size() -> None:
    assert with_given(MEASURED, replace(PLAIN, clusters=15)).n == 300
