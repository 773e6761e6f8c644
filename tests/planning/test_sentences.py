from dataclasses import replace

import pytest

from cqox.planning.build import study_of
from cqox.planning.facts import Facts, PanelFacts, with_given
from cqox.planning.panels import Moments
from cqox.planning.sentences import (
    assigned_in,
    assumptions_of,
    effect_in_words,
    headline_of,
    method_of,
    size_in_words,
)
from tests.planning.test_arguments import PLAIN

PANEL = Facts(sds=(1.0, 1.0), panel=PanelFacts(Moments(1.0, 1.0, 0.5), None, 1, 3), measured=frozenset({"sds"}))
BY_ARM = replace(
    PANEL, panel=PanelFacts(Moments(1.0, 1.0, 0.5), (Moments(1.0, 1.0, 0.5), Moments(2.0, 2.0, 1.0)), 1, 3)
)
NOTHING = Facts()


def asked(facts: Facts = NOTHING, **given):
    arguments = replace(PLAIN, **given)
    return arguments, with_given(facts, arguments)


CASES = [
    (NOTHING, {}, "row", "100 rows (50 treated, 50 untreated)", "two means by the t test"),
    (NOTHING, {"sd": (1.0, 2.0)}, "row", "100 rows", "a variance for each arm"),
    (NOTHING, {"sd": None, "baseline": 0.2}, "row", "100 rows", "chi-square"),
    (NOTHING, {"sd": None, "baseline": 0.2, "rate_test": "arcsine"}, "row", "100 rows", "arcsine"),
    (NOTHING, {"sd": None, "baseline": 0.2, "rate_test": "wald"}, "row", "100 rows", "unpooled variances, normal"),
    (
        NOTHING,
        {"icc": 0.1, "cluster_size": 12.5},
        "cluster",
        "8 clusters of 12.5 rows (4 treated, 4 untreated; 100 rows)",
        "Comparison of means with clusters",
    ),
    (
        NOTHING,
        {"sd": None, "baseline": 0.2, "icc": 0.1, "cluster_size": 20},
        "cluster",
        "5 clusters",
        "Donner and Klar",
    ),
    (
        PANEL,
        {"sd": None},
        "unit",
        "100 units (50 treated, 50 untreated) over 1 period before the start and 3 after it",
        "Difference in differences",
    ),
    (PANEL, {"sd": None, "estimator": "ancova"}, "unit", "100 units", "given their means before"),
    (
        NOTHING,
        {"periods_before": 0, "periods_after": 2, "autocorrelation": 0.5},
        "unit",
        "100 units (50 treated, 50 untreated) over 0 periods",
        "without a baseline",
    ),
    (NOTHING, {"pair_correlation": 0.5}, "pair", "50 pairs (100 rows)", "paired t test"),
]


@pytest.mark.parametrize(("facts", "given", "assigned", "size", "method"), CASES)
def test_a_design_has_its_size_and_method_in_words(facts: Facts, given, assigned: str, size: str, method: str) -> None:
    arguments, facts = asked(facts, **given)
    study = study_of(arguments, facts)
    assert assigned_in(arguments, facts) == assigned
    assert size in size_in_words(arguments, facts, study.sized(100))
    assert method in method_of(arguments, facts)


def test_an_effect_is_compared_with_the_baseline() -> None:
    assert effect_in_words(Facts(), 0.25) == "an effect of 0.25"
    assert effect_in_words(Facts(baseline=5.0), -0.25) == "an effect of -0.25 (-5% of the baseline 5)"
    assert effect_in_words(Facts(baseline=1e-3), 1.0) == "an effect of 1"
    rate = effect_in_words(Facts(rate=True, baseline=0.1), 0.02)
    assert rate == "a change of the rate from 10% to 12% (+2 percentage points)"


@pytest.mark.parametrize(
    ("unknown", "sentence"),
    [
        ("n", "To detect an effect of 0.5 with 80% power (one-sided test at the 2.5% level) takes 100 rows"),
        ("effect", "A study of 100 rows (50 treated, 50 untreated) detects an effect of 0.5 with 80% power"),
        ("power", "A study of 100 rows (50 treated, 50 untreated) detects an effect of 0.5 with 80% power"),
    ],
)
def test_the_headline_says_what_was_computed(unknown, sentence: str) -> None:
    arguments, facts = asked(alpha=0.025, one_sided=True)
    study = study_of(arguments, facts)
    assert headline_of(arguments, facts, unknown, study.sized(100), 0.5, 0.8).startswith(sentence)


def said(facts: Facts = NOTHING, **given) -> str:
    arguments, facts = asked(facts, **given)
    study = study_of(arguments, facts)
    return " ".join(assumptions_of(arguments, facts, study, study.sized(100), 0.1))


def test_assumptions_say_which_numbers_are_given_and_which_measured() -> None:
    text = said(Facts(sds=(1.0, 1.0), ratio=0.5, measured=frozenset({"sds", "ratio"})), sd=None, r2=0.25)
    assert "within an arm is 1 (measured in the data)" in text
    assert "0.5 treated for each untreated (measured in the data)" in text
    assert "explain 25.0% of the variance of the outcome (given)" in text
    assert "degrees of freedom" in text
    assert text.endswith("they are not counted here.")


def test_assumptions_of_clusters_periods_and_pairs_are_named() -> None:
    text = said(icc=0.1, cluster_size=10, cluster_size_cv=0.5, r2=0.2, r2_clusters=0.4)
    assert "intra-cluster correlation is 0.1 (given); with 10 rows a cluster the design effect is" in text
    assert "coefficient of variation of 0.5" in text
    assert "20.0% of the variance within clusters and 40.0% of that between clusters" in text
    periods = {"periods_before": 1, "periods_after": 1, "autocorrelation": 0.3}
    assert "a correlation of 0.3, however far apart" in said(**periods)
    assert "an autoregression of 0.6 a period" in said(**periods, serial_correlation=0.6)
    assert "compared between arms has a standard deviation of 1.183 from unit to unit." in said(**periods)
    assert "of 1 from unit to unit among the untreated and 1.414" in said(BY_ARM, sd=None)
    assert "Outcomes of a pair have a correlation of 0.5." in said(pair_correlation=0.5)
    assert "1 among the untreated and 2 among the treated (given)" in said(sd=(1.0, 2.0))


def test_a_test_with_unpooled_variances_is_named_where_it_differs() -> None:
    rates = {"sd": None, "baseline": 0.05}
    assert "A difference in means with unpooled variances" in said(**rates, ratio=0.1)
    assert "unpooled" not in said(**rates)
    assert "unpooled" not in said(**rates, ratio=0.1, rate_test="wald")


@pytest.mark.parametrize(("facts", "given"), [case[:2] for case in CASES])
def test_every_sentence_has_its_japanese(facts: Facts, given) -> None:
    arguments, facts = asked(facts, **given)
    study = study_of(arguments, facts)
    size = study.sized(100)
    sentences = [
        headline_of(arguments, facts, "n", size, 0.1, 0.8), headline_of(arguments, facts, "effect", size, 0.1, 0.8),
        method_of(arguments, facts), *assumptions_of(arguments, facts, study, size, 0.1),
    ]  # fmt: skip
    for sentence in sentences:
        found = sentence.in_language("ja")
        assert "[en]" not in found
        assert found.endswith("。")
