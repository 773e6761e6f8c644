"""Tests of covariates against an assignment."""

import itertools

import numpy as np
import pytest
from scipy import stats

from cqox.diagnostics.holm import holm
from cqox.diagnostics.randomization_tests import Assignment, Comparison, compare_amount, compare_levels
from tests.validation import Validated, half_width, record


def drawn(values: np.ndarray, strata: np.ndarray | None = None, **more: np.ndarray) -> Assignment:
    codes = np.zeros(len(values), dtype=np.int64) if strata is None else strata
    return Assignment(values=values.astype(float), strata=codes, **more)


def arms(n: int, treated: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).permutation(n) < treated).astype(float)


def found(comparison: Comparison | None, kind: str) -> float:
    assert comparison is not None
    assert comparison.kind == kind
    return comparison.p_value


def test_an_amount_in_two_arms_is_tested_as_wilcoxon_does_with_ties() -> None:
    x, w = np.round(np.random.default_rng(1).standard_normal(70), 1), arms(70, 25)
    peer = stats.mannwhitneyu(x[w > 0], x[w == 0], use_continuity=False, method="asymptotic")
    assert found(compare_amount(x, drawn(w)), "ranks") == pytest.approx(peer.pvalue, rel=1e-9)


def test_missing_values_are_left_out() -> None:
    x, w = np.random.default_rng(1).standard_normal(70), arms(70, 25)
    x[:9] = np.nan
    peer = stats.mannwhitneyu(x[9:][w[9:] > 0], x[9:][w[9:] == 0], use_continuity=False, method="asymptotic")
    assert found(compare_amount(x, drawn(w)), "ranks") == pytest.approx(peer.pvalue, rel=1e-9)


def test_an_assigned_amount_is_tested_by_spearman_s_correlation_over_permutations() -> None:
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal(50), rng.exponential(size=50)
    z = stats.spearmanr(x, w).statistic * np.sqrt(49)
    assert found(compare_amount(x, drawn(w)), "ranks") == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)


def test_strata_are_combined_as_van_elteren_does() -> None:
    rng = np.random.default_rng(3)
    strata = rng.integers(0, 4, 80)
    x, w = rng.standard_normal(80) + strata, (rng.random(80) < 0.2 + 0.15 * strata).astype(float)
    total = variance = 0.0
    for code in range(4):
        own, inside = x[strata == code], w[strata == code] > 0
        n, m = len(own), int(inside.sum())
        ranks = stats.rankdata(own)
        total += (ranks[inside].sum() - m * (n + 1) / 2) / (n + 1)
        variance += m * (n - m) * (n + 1) / 12 / (n + 1) ** 2
    p_value = found(compare_amount(x, drawn(w, strata)), "ranks")
    assert p_value == pytest.approx(2 * stats.norm.sf(abs(total) / np.sqrt(variance)), rel=1e-9)


def test_few_counts_are_tested_exactly_as_fisher_does() -> None:
    rng = np.random.default_rng(4)
    x, w = (rng.random(60) < 0.2).astype(float), arms(60, 20)
    table = np.histogram2d(x, w, 2)[0]
    tails = [stats.fisher_exact(table, side).pvalue for side in ("less", "greater")]
    assert found(compare_amount(x, drawn(w)), "exact") == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-9)


def test_exact_counts_in_strata_equal_the_enumeration_of_all_assignments() -> None:
    strata = np.repeat([0, 1], [5, 6])
    x = np.array([1.0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0])
    w = np.array([1.0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0])
    counts = []
    for first in itertools.combinations(range(5), 2):
        for second in itertools.combinations(range(5, 11), 3):
            counts.append(x[[*first, *second]].sum())
    seen = x @ w
    tails = np.mean(np.asarray(counts) <= seen), np.mean(np.asarray(counts) >= seen)
    assert found(compare_amount(x, drawn(w, strata)), "exact") == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-9)


def test_the_levels_of_a_category_are_tested_jointly_as_chi_square_does() -> None:
    rng = np.random.default_rng(5)
    codes, w = rng.integers(0, 4, 400), arms(400, 180)
    dummies = (codes[:, None] == np.arange(1, 4)).astype(float)
    peer = stats.chi2_contingency(np.histogram2d(codes, w, (4, 2))[0], correction=False).statistic
    p_value = found(compare_levels(dummies, drawn(w)), "levels")
    # Over permutations the statistic is (n - 1)/n of Pearson's.
    assert p_value == pytest.approx(stats.chi2.sf(peer * 399 / 400, 3), rel=1e-9)


def test_rare_levels_are_merged() -> None:
    w = arms(40, 20)
    singles = np.eye(40)[:, 1:]
    assert compare_levels(singles, drawn(w)) is None
    halves = np.column_stack([np.arange(40) % 2 == 1, np.arange(40) == 2, np.arange(40) == 4]).astype(float)
    halves[[2, 4], 0] = 0.0
    assert compare_levels(halves, drawn(w)) is not None


def test_known_probabilities_explain_differences_between_the_arms() -> None:
    rng = np.random.default_rng(6)
    x = rng.standard_normal(800)
    chance = 1 / (1 + np.exp(-x))
    w = (rng.random(800) < chance).astype(float)
    assert found(compare_amount(x, drawn(w)), "ranks") < 1e-6
    assert found(compare_amount(x, drawn(w, chance=chance)), "ranks") > 0.01
    z = np.sum((w - chance) * (r := stats.rankdata(x) / 801 - np.average(stats.rankdata(x) / 801,
               weights=chance * (1 - chance)))) / np.sqrt(np.sum(chance * (1 - chance) * r**2))  # fmt: skip
    expected = 2 * stats.norm.sf(abs(z))
    assert found(compare_amount(x, drawn(w, chance=chance)), "ranks") == pytest.approx(expected, rel=1e-9)


def test_sums_within_groups_are_compared_by_t_with_one_less_than_the_groups() -> None:
    rng = np.random.default_rng(7)
    groups, x, w = np.repeat(np.arange(20), 6), rng.standard_normal(120), arms(120, 60)
    ranks = stats.rankdata(x) / 121
    sums = np.bincount(groups, (ranks - ranks.mean()) * (w - 0.5))
    t = sums.sum() / np.sqrt(sums @ sums * 20 / 19)
    p_value = found(compare_amount(x, drawn(w, groups=groups)), "ranks")
    assert p_value == pytest.approx(2 * stats.t.sf(abs(t), 19), rel=1e-9)


def test_a_constant_covariate_is_no_test() -> None:
    w = arms(20, 10)
    assert compare_amount(np.ones(20), drawn(w)) is None
    assert compare_amount(np.full(20, np.nan), drawn(w)) is None
    strata = np.arange(20)
    assert compare_amount(np.arange(20.0), drawn(w, strata)) is None


def columns(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Amounts and counts, plain, skewed, tied and rare."""
    return [
        rng.standard_normal(n), np.exp(2 * rng.standard_normal(n)), rng.poisson(0.3, n).astype(float),
        np.where(rng.random(n) < 0.8, 0.0, rng.exponential(size=n)), (rng.random(n) < 0.1).astype(float),
        (rng.random(n) < 0.5).astype(float),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("n", "treated"), [(40, 20), (100, 50), (1000, 40), (5000, 2500)])
def test_a_trial_is_contradicted_by_its_covariates_less_often_than_once_in_a_thousand(n: int, treated: int) -> None:
    rng, runs = np.random.default_rng(n), 4000 if n < 5000 else 1000
    false = single = 0
    for _ in range(runs):
        assigned = drawn((rng.permutation(n) < treated).astype(float))
        region = rng.choice(5, n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
        tests = [compare_amount(x, assigned) for x in columns(rng, n)]
        tests.append(compare_levels((region[:, None] == np.arange(1, 5)).astype(float), assigned))
        p_values = [test.p_value for test in tests if test is not None]
        single += sum(p_value < 0.05 for p_value in p_values)
        false += min(holm(p_values)) < 0.001
    record(
        Validated(
            design=f"randomised trial, {treated} of {n} treated, 7 covariates that are skewed, tied, rare or of levels",
            estimator="balance_tests", replications=runs, rows=n,
            note=f"contradicts `randomized` {false} times; single tests below .05: {single / runs / 7:.3f}",
        )
    )  # fmt: skip
    assert false / runs <= 0.001 + half_width(0.001, runs)
    assert single / runs / 7 <= 0.05 + half_width(0.05, runs)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "treated", "slope"), [(60, 30, 3.0), (400, 200, 0.8), (5000, 200, 0.4)])
def test_an_assignment_that_follows_a_covariate_is_contradicted(n: int, treated: int, slope: float) -> None:
    rng, runs = np.random.default_rng(n), 300
    caught = of_peer = 0
    for _ in range(runs):
        x = columns(rng, n)
        order = np.argsort(-slope * x[0] - rng.logistic(size=n))
        w = np.zeros(n)
        w[order[:treated]] = 1.0
        tests = [compare_amount(each, drawn(w)) for each in x]
        caught += min(holm([test.p_value for test in tests if test is not None])) < 0.001
        peers = [stats.mannwhitneyu(each[w > 0], each[w == 0], use_continuity=False, method="asymptotic") for each in x]
        of_peer += 6 * min(peer.pvalue for peer in peers) < 0.001
    record(
        Validated(
            design=f"assignment by a logit slope of {slope:g} on one of 6 covariates, {treated} of {n} treated",
            estimator="balance_tests", replications=runs, rows=n,
            note=f"contradicts `randomized` in {caught / runs:.1%}",
        )
    )  # fmt: skip
    # The power of these designs is that of the rank sum test: about .92 in the last.
    assert caught == of_peer
    assert caught / runs >= 0.92 - half_width(0.92, runs)
