import numpy as np
import polars as pl
import pytest
from scipy import stats

from cqox.analysis.arm_differences import arms_of, smallest_p_value


def test_an_amount_is_compared_by_ranks() -> None:
    rng = np.random.default_rng(0)
    x, arm = rng.standard_normal(300), (np.arange(300) % 2).astype(float)
    x[arm > 0] += 0.2
    found = smallest_p_value(pl.Series("x", x), [arm], None, None)
    expected = stats.mannwhitneyu(x[arm > 0], x[arm == 0], method="asymptotic", use_continuity=False).pvalue
    assert found == pytest.approx(expected, rel=1e-6)


def test_words_are_compared_by_levels() -> None:
    rng = np.random.default_rng(1)
    words, arm = rng.choice(list("abc"), 400), (np.arange(400) % 2).astype(float)
    table = np.array([[np.sum((words == w) & (arm == a)) for w in "abc"] for a in (0, 1)])
    statistic = stats.chi2_contingency(table, correction=False).statistic * 399 / 400
    found = smallest_p_value(pl.Series("x", words), [arm], None, None)
    assert found == pytest.approx(stats.chi2.sf(statistic, 2), rel=1e-6)


def test_missing_values_are_left_out_and_few_rows_are_not_compared() -> None:
    rng = np.random.default_rng(2)
    x, arm = rng.standard_normal(100), (np.arange(100) % 2).astype(float)
    gaps = pl.Series("x", np.where(np.arange(100) < 40, np.nan, x)).fill_nan(None)
    assert smallest_p_value(gaps, [arm], None, None) == pytest.approx(
        smallest_p_value(pl.Series("x", x[40:]), [arm[40:]], None, None)
    )
    treated_alone = pl.Series("x", np.where(arm > 0, x, np.nan)).fill_nan(None)
    assert smallest_p_value(treated_alone, [arm], None, None) is None


def test_clusters_assigned_as_a_whole_are_compared_by_their_means() -> None:
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(30), 20)
    arm = (cluster % 2).astype(float)
    x = rng.standard_normal(30)[cluster] + rng.standard_normal(600)
    found = smallest_p_value(pl.Series("x", x), [arm], None, cluster)
    means = [x[cluster == each].mean() for each in range(30)]
    expected = stats.mannwhitneyu(means[1::2], means[::2], method="asymptotic", use_continuity=False).pvalue
    assert found == pytest.approx(expected, rel=1e-6)
    assert smallest_p_value(pl.Series("x", x), [rng.permutation(arm)], None, cluster) is not None


def test_blocks_keep_what_they_differ_in_out_of_the_comparison() -> None:
    rng = np.random.default_rng(4)
    block = np.repeat(np.arange(3), 200)
    arm = (rng.random(600) < np.array([0.2, 0.5, 0.8])[block]).astype(float)
    x = pl.Series("x", block + rng.standard_normal(600))
    assert smallest_p_value(x, [arm], None, None) < 1e-4
    assert smallest_p_value(x, [arm], block, None) > 0.01


@pytest.mark.parametrize(
    ("values", "arms"), [(["a", "b"], 1), (["a", "b", "c"], 3), ([0, 1], 1), ([1, 2, 3], 3), (list(range(9)), 1)]
)
def test_a_treatment_is_compared_by_its_levels_or_its_amount(values: list[object], arms: int) -> None:
    assert len(arms_of(pl.Series("w", values * 4))) == arms
