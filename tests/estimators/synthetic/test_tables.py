from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators.panel.block_panel import BlockPanel
from cqox.estimators.synthetic import tables
from cqox.estimators.synthetic.placebos import Placebo
from cqox.estimators.synthetic.tables import Fit, described, effective_rows, in_space, in_time, path, rank_p

PERIODS, BEFORE = 10, 6


def panel(before: int = BEFORE, periods: int = PERIODS) -> BlockPanel:
    rng = np.random.default_rng(0)
    return BlockPanel(
        treated=rng.standard_normal((2, periods)), donors=rng.standard_normal((4, periods)), centre=100.0, scale=5.0,
        times=2000.0 + np.arange(periods), before=before, treated_units=np.array([0, 1]),
        donor_units=np.array([5, 3, 4, 2]), labels=None, notes=(), warnings=(),
    )  # fmt: skip


WEIGHTS = np.array([0.25, 0.75, 1e-7, 0.0])


def fit_of(block: BlockPanel) -> Fit:
    return Fit(weights=WEIGHTS, gaps=block.target - WEIGHTS @ block.donors, before=block.before)


def test_the_path_is_in_units_of_the_outcome_and_its_gap_is_observed_less_synthetic() -> None:
    block = panel()
    rows = path(block, fit_of(block).gaps)
    assert [row["time"] for row in rows] == block.times.tolist()
    np.testing.assert_allclose([row["observed"] for row in rows], 100 + 5 * block.treated.mean(axis=0))
    np.testing.assert_allclose([row["synthetic"] for row in rows], 100 + 5 * WEIGHTS @ block.donors)
    assert all(row["gap"] == pytest.approx(row["observed"] - row["synthetic"]) for row in rows)


def test_a_path_of_many_periods_is_one_of_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_PERIODS", 4)
    block = panel()
    rows = path(block, np.arange(10.0))
    assert [row["time"] for row in rows] == [2001.0, 2004.0, 2007.0, 2009.0]
    assert [row["gap"] for row in rows] == pytest.approx([5.0, 20.0, 35.0, 45.0])


def test_the_description_counts_units_and_periods_and_lists_weights_that_matter() -> None:
    block = panel()
    fit = fit_of(block)
    found = described(block, fit)
    assert found["donor_weights"] == [{"unit": 3, "weight": 0.75}, {"unit": 5, "weight": 0.25}]
    assert found["pre_rmspe"] == pytest.approx(5 * np.sqrt(np.mean(fit.gaps[:6] ** 2)))
    assert found["post_rmspe"] == pytest.approx(5 * np.sqrt(np.mean(fit.gaps[6:] ** 2)))
    assert found["pre_fit"] == pytest.approx(found["pre_rmspe"] / 5)
    counts = {"first_treated_period": 2006.0, "periods_before": 6, "periods_after": 4, "treated_units": 2, "donors": 4}
    assert {name: found[name] for name in counts} == counts


def test_equal_weights_are_listed_by_unit() -> None:
    block = panel()
    found = described(block, replace(fit_of(block), weights=np.full(4, 0.25)))
    assert [row["unit"] for row in found["donor_weights"]] == [2, 3, 4, 5]


def test_effective_rows_count_donors_by_the_concentration_of_their_weights() -> None:
    block = panel()
    assert effective_rows(block, np.full(4, 0.25)) == pytest.approx((2 + 4) * 10)
    assert effective_rows(block, np.array([1.0, 0, 0, 0])) == pytest.approx((2 + 1) * 10)
    assert effective_rows(block, np.array([0.5, 0.5, 0, 0])) == pytest.approx((2 + 2) * 10)


def test_a_rank_counts_ties_against_the_treated_and_is_never_zero() -> None:
    assert rank_p(np.array([1.0, 2.0, 3.0]), 4.0) == pytest.approx(1 / 4)
    assert rank_p(np.array([1.0, 2.0, 3.0]), 2.0 * (1 + 1e-12)) == pytest.approx(3 / 4)
    assert rank_p(np.empty(0), 1.0) == 1.0


def test_the_test_in_space_ranks_ratios_and_leaves_ill_fitted_placebos_out_of_one() -> None:
    block = panel()
    own = np.array([1.0, -1, 1, -1, 1, -1, 3, 3, 3, 3])
    fit = Fit(weights=WEIGHTS, gaps=own, before=6)
    gaps = [np.repeat(pair, (6, 4)) for pair in ((1.0, 4.0), (0.5, 1.0), (6.0, 30.0))]
    placebos = [Placebo(group=np.array([at]), gaps=each) for at, each in enumerate(gaps)]
    found = in_space(block, fit, placebos, paths=True)
    assert (found["placebos"], found["ratio"], found["rank"]) == (3, pytest.approx(3.0), 3)
    assert found["p_value"] == pytest.approx(3 / 4)
    assert (found["well_fitted"], found["p_value_well_fitted"]) == (2, pytest.approx(2 / 3))
    assert found["p_value_of_average_gap"] == pytest.approx(3 / 4)
    assert [each["units"] for each in found["gaps"]] == [[5], [3], [4]]
    np.testing.assert_allclose(found["gaps"][0]["gaps"], 5 * gaps[0])
    assert found["gaps"][2]["pre_rmspe"] == pytest.approx(30.0)
    assert "gaps" not in in_space(block, fit, placebos, paths=False)


def test_without_placebos_there_is_no_rank() -> None:
    block = panel()
    found = in_space(block, fit_of(block), [], paths=True)
    assert (found["placebos"], found["p_value"]) == (0, None)


def test_a_perfect_fit_before_has_a_finite_ratio() -> None:
    assert Fit(weights=WEIGHTS, gaps=np.array([0.0, 0.0, 2.0]), before=2).ratio == pytest.approx(2e6)


def test_the_test_in_time_starts_halfway_and_uses_no_later_period() -> None:
    block = panel()
    found = in_time(block, lambda donors, target: np.full(4, 0.25) * (donors.shape == (4, 3)), [])
    gaps = (block.target - block.donors.mean(axis=0))[:6] * 5
    assert found["first_treated_period"] == 2003.0
    assert found["average_gap"] == pytest.approx(gaps[3:].mean())
    assert found["pre_rmspe"] == pytest.approx(np.sqrt(np.mean(gaps[:3] ** 2)))
    assert found["post_rmspe"] == pytest.approx(np.sqrt(np.mean(gaps[3:] ** 2)))
    assert in_time(panel(before=3), lambda *_: WEIGHTS, [])["reason"].code == "synthetic.too-few-periods-before"
    assert found["p_value"] is None


def test_the_p_value_in_time_is_the_rank_of_the_ratio_before_treatment() -> None:
    block = panel()
    groups = [np.array([each]) for each in range(4)]
    found = in_time(block, lambda donors, target: np.full(len(donors), 1 / len(donors)), groups)
    ratios = []
    for each in range(4):
        gap = (block.donors[each] - np.delete(block.donors, each, axis=0).mean(axis=0))[:6]
        ratios.append(np.sqrt(np.mean(gap[3:] ** 2) / np.mean(gap[:3] ** 2)))
    own = (block.target - block.donors.mean(axis=0))[:6]
    ratio = np.sqrt(np.mean(own[3:] ** 2) / np.mean(own[:3] ** 2))
    assert found["p_value"] == pytest.approx((1 + np.sum(np.array(ratios) >= ratio)) / 5)
