"""Rows in the sample of a table that an engine sums, and results that are left to it."""

from pathlib import Path

import numpy as np
import pytest

from cqox.analysis import engine_sample
from tests.analysis.engine_runs import ROWS, STORED, both, run, same_estimate, sampled, stored


@pytest.fixture(autouse=True)
def a_small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_sample, "SAMPLE_ROWS", 3_000)


def test_codes_of_more_levels_than_indicators_are_left_to_the_sample(tmp_path: Path) -> None:
    path = stored(tmp_path, code=np.where(np.arange(ROWS) % 300 < 60, np.arange(ROWS) % 300, 0))
    mapping = {**STORED, "covariates": ["x", "code"]}
    found = run(path, mapping, engine="duckdb", estimators=["ols_adjustment"], categorical=["code"])
    assert "fixed effects" in sampled(found.report["estimates"][0])[0]


def test_rare_words_beyond_the_indicators_are_left_to_the_sample(tmp_path: Path) -> None:
    path = stored(tmp_path, word=[f"k{row // 100 % 56:02d}" if row % 100 == 0 else "k00" for row in range(ROWS)])
    mapping = {**STORED, "covariates": ["x", "word"]}
    found = run(path, mapping, engine="duckdb", estimators=["ols_adjustment"])
    assert "fixed effects" in sampled(found.report["estimates"][0])[0]


def test_levels_too_many_for_a_sample_are_analysed_in_memory(tmp_path: Path) -> None:
    path = stored(tmp_path, word=[f"k{row * 7919 % 2500}" for row in range(ROWS)])
    found = run(path, {**STORED, "covariates": ["x", "word"]}, engine="duckdb", estimators=["ols_adjustment"])
    assert found.engine == "memory"
    assert [note for note in found.report["notes"] if "ran in memory" in note and "fixed effects" in note]


@pytest.mark.parametrize("clusters", [2, 7])
def test_a_sample_of_few_clusters_is_of_rows_of_all(tmp_path: Path, clusters: int) -> None:
    path = stored(tmp_path, g=np.arange(ROWS) * 31 % clusters)
    mapping = {**STORED, "cluster": ["g"]}
    memory, engine = both(path, mapping, estimators=["t_learner", "dml_plr"])
    statuses = [[each["status"] for each in found.report["estimates"]] for found in (memory, engine)]
    assert statuses[0] == statuses[1]
    assert [note for note in engine.report["notes"] if "the number of the row" in note]
    theirs, ours = (
        next(each for each in found.report["estimates"] if each["name"] == "dml_plr") for found in (memory, engine)
    )
    assert ours["estimate"] == pytest.approx(theirs["estimate"], rel=1e-9)


def test_a_unit_of_most_rows_does_not_make_the_sample_large_or_empty(tmp_path: Path) -> None:
    for first in range(4):
        path = stored(tmp_path, name=[f"{first}-{row if row % 5 == 0 else 1}" for row in range(ROWS)])
        engine = run(path, {**STORED, "unit_id": "name"}, engine="duckdb", estimators=["causal_forest"])
        assert 2_500 < engine.report["estimates"][0]["n"] < 3_500


def test_an_amount_of_mostly_two_values_stays_an_amount(tmp_path: Path) -> None:
    dose = (np.arange(ROWS) * 7 % 2).astype(float)
    dose[[5, 50, 500]] = [1.5, 2.5, 7.25]
    dose[1000:1008] = np.arange(3.25, 11.0)
    path = stored(tmp_path, dose=dose)
    memory, engine = both(path, {**STORED, "treatment": "dose"}, estimators=["ols_adjustment"])
    assert [each["contrast"] for each in engine.report["estimates"]] == [None]
    same_estimate(memory, engine)


def test_an_outcome_that_is_rarely_above_zero_has_such_rows_in_the_sample(tmp_path: Path) -> None:
    cost = np.zeros(ROWS)
    cost[100:160] = np.arange(1.5, 61.0)
    path = stored(tmp_path, cost=cost)
    for seed in (1, 2):
        memory, engine = both(path, {**STORED, "y": "cost"}, estimators=["ols_adjustment"], seed=seed)
        same_estimate(memory, engine)


def test_an_arm_of_few_rows_is_estimated_from_all_of_them(tmp_path: Path) -> None:
    arm = np.array(["none", "common"])[np.arange(ROWS) * 7 % 2].astype(object)
    arm[[11, 2011, 3011, 4011, 5011, 5911]] = "seldom"
    path = stored(tmp_path, arm=arm)
    memory, engine = both(path, {**STORED, "treatment": "arm"}, estimators=["difference_in_means", "t_learner"])
    statuses = [
        {(e["name"], e["contrast"]): e["status"] for e in found.report["estimates"]} for found in (memory, engine)
    ]
    assert statuses[0] == statuses[1]


def test_an_outcome_far_from_zero_keeps_its_digits(tmp_path: Path) -> None:
    path = stored(tmp_path, far=1e9 + 1e-3 * np.random.default_rng(2).normal(size=ROWS))
    same_estimate(*both(path, {**STORED, "y": "far"}, estimators=["difference_in_means"]))
