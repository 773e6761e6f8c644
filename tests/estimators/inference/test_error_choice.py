from dataclasses import dataclass

import pytest

from cqox.estimators import Settings
from cqox.estimators.inference.cluster_arms import ClustersByArm
from cqox.estimators.inference.error_choice import by_unit, error_choice, few_clusters, no_error, unclustered


@dataclass(frozen=True)
class Groups:
    codes: tuple[int, ...] = ()
    mapped: bool = True

    @property
    def fewest(self) -> int:
        return min(self.codes, default=0)


ENOUGH, FEW = Groups((80,)), Groups((12,))


@pytest.mark.parametrize(
    ("groups", "asked", "chosen"),
    [
        (Groups(), "auto", "HC1"),
        (Groups(), "HC3", "HC3"),
        (Groups(), "CRV1", "HC1"),
        (Groups(), "CRV3", "HC3"),
        (ENOUGH, "auto", "CRV1"),
        (FEW, "auto", "CRV3"),
        (FEW, "CRV1", "CRV1"),
        (FEW, "HC1", "HC1"),
        (Groups((80, 12)), "CRV3", "CRV1"),
    ],
)
def test_the_error_is_chosen_by_the_clusters_and_by_what_was_asked_for(groups: Groups, asked: str, chosen: str) -> None:
    assert error_choice(None, groups, Settings(se=asked), "HC1")[0] == chosen


def test_an_arm_of_few_clusters_is_a_doubt_and_takes_the_jackknife() -> None:
    chosen, _, warnings = error_choice(ClustersByArm(treated=3, untreated=77), ENOUGH, Settings(), "HC1")
    assert chosen == "CRV3"
    assert [each.code for each in warnings] == ["inference.few-clusters-in-arm"]


def test_few_clusters_and_rows_as_independent_are_warned_of() -> None:
    assert few_clusters(ENOUGH) == []
    assert few_clusters(FEW)[0].code == "inference.few-clusters"
    assert unclustered(ENOUGH, Settings(se="HC1"))[0].code == "inference.rows-of-cluster-as-independent"
    assert (
        unclustered(Groups((80,), mapped=False), Settings(se="HC1"))[0].code == "inference.rows-of-unit-as-independent"
    )
    assert unclustered(ENOUGH, Settings()) == []


def test_a_variance_of_zero_says_why_there_is_no_error() -> None:
    assert no_error(0.0, clustered=True).code == "inference.cluster-sums-zero"
    assert no_error(-1.0, clustered=True).code == "inference.variance-not-positive"
    assert (by_unit(FEW), by_unit(Groups((80,), mapped=False))) == ("", " by unit")
