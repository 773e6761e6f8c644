"""Attempts to refute the primary estimate."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics import diagnose
from cqox.diagnostics.primary import Primary
from cqox.diagnostics.refuters import _permuted, refutations
from cqox.errors import UnusableData
from cqox.estimators import Data, Plan, Settings, catalog, run
from tests.diagnostics.looking import trial
from tests.estimators.designs import cross_section, panel, rows

NAMES = ("placebo_treatment", "dummy_outcome", "random_common_cause", "data_subset")


def refuted(data: Data, name: str, *, replications: int = 40, seed: int = 0) -> dict[str, object]:
    plan = Plan(data, Settings(seed=seed))
    estimator = next(each for each in catalog() if each.name == name)
    return refutations(plan, Primary(name=name, rule=""), [run(estimator, plan)], replications)


def test_a_true_effect_stands():
    found = refuted(cross_section(600, weights=False), "aipw")
    assert all(found[name]["stands"] for name in NAMES), found
    assert found["placebo_treatment"]["p_value"] == pytest.approx(1 / 41)
    assert abs(found["placebo_treatment"]["mean"]) < 0.2
    assert abs(found["dummy_outcome"]["mean"]) < 4 * found["dummy_outcome"]["sd"] / np.sqrt(40)
    assert found["data_subset"]["sd"] > found["random_common_cause"]["sd"] > 0


def test_no_effect_looks_like_a_placebo():
    found = refuted(cross_section(400, effect=0.0, heterogeneous=False, weights=False), "ols_adjustment")
    assert found["placebo_treatment"]["p_value"] > 0.05
    assert not found["placebo_treatment"]["stands"]


def test_an_effect_that_one_row_makes_is_reported_by_the_spread_of_the_placebos_and_of_the_subsets():
    data = trial(200)
    y = data.y.copy()
    y[np.flatnonzero(data.treatment > 0)[0]] += 1e5
    found = refuted(replace(data, y=y), "difference_in_means")
    assert found["placebo_treatment"]["sd"] > 0.5 * found["estimate"]
    assert found["data_subset"]["sd"] > 0.3 * found["estimate"]


def test_the_order_of_the_rows_changes_no_refutation():
    data = cross_section(300, weights=False)
    order = np.random.default_rng(4).permutation(data.n)
    left, right = refuted(data, "ols_adjustment"), refuted(rows(data, order), "ols_adjustment")
    for name in NAMES:
        assert right[name]["mean"] == pytest.approx(left[name]["mean"], rel=1e-8, abs=1e-10)
        assert right[name]["p_value"] == pytest.approx(left[name]["p_value"], rel=1e-8)
    assert refuted(data, "ols_adjustment", seed=1)["data_subset"]["mean"] != left["data_subset"]["mean"]


def test_the_order_of_rows_that_share_a_key_changes_no_refutation():
    cluster = np.random.default_rng(5).integers(0, 20, 300)
    keys = np.random.default_rng(6).integers(0, 2**63, 20).astype(np.uint64)
    data = replace(cross_section(300, weights=False), clusters=(cluster,), row_key=keys[cluster])
    order = np.random.default_rng(4).permutation(data.n)
    left, right = refuted(data, "aipw"), refuted(rows(data, order), "aipw")
    for name in NAMES:
        assert right[name]["mean"] == pytest.approx(left[name]["mean"], rel=1e-8, abs=1e-10)
        assert right[name]["p_value"] == pytest.approx(left[name]["p_value"], rel=1e-8)


def test_a_placebo_moves_whole_clusters_to_others_of_their_size():
    cluster = np.repeat(np.arange(40), 5)
    keys = np.random.default_rng(6).integers(0, 2**63, 40).astype(np.uint64)
    data = replace(trial(200), treatment=(cluster % 2).astype(float), clusters=(cluster,), row_key=keys[cluster])
    dealt = _permuted(data.treatment, data, "placebo")
    assert np.ptp(dealt.reshape(40, 5), axis=1).max() == 0
    assert dealt.sum() == data.treatment.sum()
    assert (dealt != data.treatment).any()


def test_the_placebo_distribution_is_that_of_a_permutation_test():
    data = trial(120)
    found = refuted(data, "difference_in_means", replications=2000)["placebo_treatment"]
    rng, y, t = np.random.default_rng(1), data.y, data.treatment
    draws = [y[shuffled > 0].mean() - y[shuffled == 0].mean() for shuffled in (rng.permutation(t) for _ in range(4000))]
    assert found["sd"] == pytest.approx(np.std(draws), rel=0.08)
    assert abs(found["mean"]) < 4 * found["sd"] / np.sqrt(2000)


def test_a_design_is_not_refuted_by_shuffling_rows():
    with pytest.raises(UnusableData, match="depends on its design"):
        refuted(panel(30), "twfe")


def test_nothing_runs_unless_asked_for():
    plan = Plan(trial(60), Settings())
    assert "options.refute" in diagnose(plan, [])["refutations"]["reason"]
