from dataclasses import replace

import pytest

from cqox.errors import InvalidRequest, UnusableData
from cqox.planning.answer import answer
from cqox.planning.arguments import checked
from cqox.planning.facts import Facts, with_given
from tests.planning.test_arguments import PLAIN


def answered(**given):
    arguments, unknown = checked(replace(PLAIN, **given), data=False, panel=False, clustered=False)
    return answer(arguments, with_given(Facts(), arguments), unknown)


def test_a_size_is_found_and_described() -> None:
    report = answered(effect=0.5)
    assert (report.unknown, report.n, report.control, report.treated) == ("n", 128, 64, 64)
    assert (report.power, report.effect) == (0.8, 0.5)
    assert report.attained_power == pytest.approx(0.80145955792232759, abs=1e-10)
    assert report.standard_error == pytest.approx((2 / 64) ** 0.5)
    assert report.degrees_of_freedom == 126
    assert (report.relative_effect, report.standardized_effect) == (None, 0.5)
    assert (report.clusters, report.icc, report.design_effect, report.periods_before) == (None, None, None, None)


def test_an_effect_is_found_in_both_directions() -> None:
    report = answered(n=128)
    assert report.effect == pytest.approx(0.49907, abs=1e-5)
    assert report.attained_power == pytest.approx(0.8)
    assert answered(n=128, better="lower").effect == pytest.approx(-report.effect)


def test_a_power_is_found_for_effects_of_either_sign() -> None:
    report = answered(n=128, effect=-0.5)
    assert (report.unknown, report.power) == ("power", pytest.approx(0.80145955792232759, abs=1e-10))
    assert report.attained_power == report.power


def test_the_curve_falls_with_the_size_and_passes_through_the_study() -> None:
    report = answered(n=200)
    sizes, effects = zip(*report.curve, strict=True)
    assert dict(report.curve)[200] == report.effect
    assert (sizes[0], sizes[-1]) == (50, 800)
    assert list(effects) == sorted(effects, reverse=True)
    assert list(sizes) == sorted(set(sizes))
    lower = answered(n=200, sd=None, baseline=0.3, better="lower")
    assert all(effect < 0 for _, effect in lower.curve)


def test_the_curve_leaves_out_what_cannot_be_tested() -> None:
    report = answered(n=4, sd=(1.0, 1.0))
    assert report.curve[0][0] == 4


def test_a_curve_has_80_percent_where_the_power_was_computed() -> None:
    computed, asked = answered(n=128, effect=0.2), answered(n=128)
    assert computed.curve == asked.curve


def test_clusters_are_counted() -> None:
    report = answered(n=800, icc=0.1, cluster_size=20)
    assert (report.assigned, report.clusters, report.control, report.cluster_size) == ("cluster", 40, 20, 20)
    assert report.design_effect == pytest.approx(2.9)
    assert report.degrees_of_freedom == 38


def test_fixed_clusters_get_as_many_rows_as_they_need_or_none_suffice() -> None:
    report = answered(effect=0.5, icc=0.05, clusters=10)
    assert (report.n, report.clusters, report.cluster_size) == (870, 10, 87)
    with pytest.raises(UnusableData, match=r"10 clusters detect an effect of 0\.3 with 46\.3% power at most") as caught:
        answered(effect=0.3, icc=0.05, clusters=10)
    assert caught.value.field == "clusters"
    assert "an effect of 0.4527" in caught.value.detail


@pytest.mark.parametrize(
    ("given", "field", "sentence"),
    [
        ({"n": 2}, "n", "at least 3"),
        ({"n": 3, "sd": (1.0, 2.0)}, "n", "at least 4"),
        ({"n": 2, "pair_correlation": 0.5}, "n", "at least 4"),
        ({"n": 40, "icc": 0.1, "cluster_size": 20}, "n", "At least 3 clusters"),
        ({"effect": 0.5, "icc": 0.1, "clusters": 2}, "clusters", "At least 3 clusters"),
        ({"n": 5, "icc": 0.1, "clusters": 10}, "n", "a row for each cluster"),
        (
            {
                "n": 3,
                "periods_before": 1,
                "periods_after": 1,
                "autocorrelation": 0.5,
                "estimator": "ancova",
            },
            "n",
            "n must be at least 5",
        ),
    ],
)
def test_a_study_without_degrees_of_freedom_is_refused(given, field: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence) as caught:
        answered(**given)
    assert caught.value.field in (field, "clusters")


def test_effects_and_sizes_that_no_study_has_are_refused() -> None:
    with pytest.raises(UnusableData, match="detects no change of the rate"):
        answered(n=6, sd=None, baseline=0.9)
    with pytest.raises(UnusableData, match="No study of less than a million million rows"):
        answered(effect=1e-9)


def test_rates_have_their_standard_deviation_and_pairs_their_partners() -> None:
    report = answered(effect=0.02, sd=None, baseline=0.1)
    assert report.standard_deviation == pytest.approx(0.3)
    assert report.relative_effect == pytest.approx(0.2)
    report = answered(n=60, pair_correlation=0.5)
    assert (report.assigned, report.control, report.treated, report.degrees_of_freedom) == ("pair", 30, 30, 29)
