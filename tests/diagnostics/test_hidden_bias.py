from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Plan, Settings
from cqox.estimators.matching.pairs import matched_pairs
from tests.diagnostics.looking import confounded, judged, trial

MATCHINGS = ["psm_att", "nn_mahalanobis_att"]


def discrete(n: int = 600, seed: int = 5) -> Data:
    """Covariates of a few values, so that many rows are equally near."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (n, 2)).astype(float)
    t = (rng.random(n) < 0.2 + 0.1 * x[:, 0]).astype(float)
    y = t + x.sum(axis=1) + rng.standard_normal(n)
    return replace(trial(n, p=2), y=y, treatment=t, covariates=x, propensity_covariates=x,
                   row_key=rng.permutation(n).astype(np.uint64))  # fmt: skip


@pytest.mark.parametrize("name", ["psm", "nn_mahalanobis"])
@pytest.mark.parametrize("data", [confounded(600), discrete()], ids=["continuous", "discrete"])
def test_no_row_is_in_two_pairs_and_each_treated_row_has_one_of_its_nearest(name: str, data: Data) -> None:
    plan = Plan(data, Settings())
    pairs = matched_pairs(plan, name)
    assert len(np.unique(pairs.control)) == len(pairs.control) == len(np.unique(pairs.treated))
    assert np.all(data.treatment[pairs.treated] == 1)
    assert np.all(data.treatment[pairs.control] == 0)
    assert len(pairs.treated) + pairs.unmatched + pairs.shared == data.treatment.sum()
    if name == "psm":
        e = plan.propensity().used[:, None]
    else:
        whole = data.covariates - data.covariates.mean(axis=0)
        e = whole @ np.linalg.inv(np.linalg.cholesky(np.cov(whole.T))).T
    away = np.linalg.norm(e[pairs.treated][:, None] - e[data.treatment == 0][None], axis=2).min(axis=1)
    assert np.linalg.norm(e[pairs.treated] - e[pairs.control], axis=1) == pytest.approx(away, abs=1e-7)


def test_treated_rows_of_one_place_take_different_counterparts() -> None:
    data = discrete()
    pairs = matched_pairs(Plan(data, Settings()), "nn_mahalanobis")
    cells = (data.covariates @ [4, 1]).astype(int)
    both = [np.bincount(cells[data.treatment == arm], minlength=16) for arm in (0, 1)]
    assert len(pairs.treated) == np.minimum(*both).sum()


@pytest.mark.parametrize("name", ["psm", "nn_mahalanobis"])
def test_the_order_of_the_rows_decides_nothing(name: str) -> None:
    data = discrete()
    mixed = np.random.default_rng(1).permutation(data.n)
    here = matched_pairs(Plan(data, Settings()), name)
    there = matched_pairs(Plan(data.rows(mixed), Settings()), name)
    assert set(zip(here.treated, here.control, strict=True)) == set(
        zip(mixed[there.treated], mixed[there.control], strict=True)
    )


def test_several_matches_are_reported_by_the_nearest_of_them() -> None:
    data = confounded(600)
    one, four = (matched_pairs(Plan(data, Settings(matches=m)), "psm") for m in (1, 4))
    assert np.array_equal(one.control, four.control)


def test_a_caliper_leaves_out_whom_the_estimate_leaves_out() -> None:
    data = confounded(600, strength=3.0)
    settings = Settings(caliper=0.002)
    seen = judged(data, only=["psm_att"], settings=settings)
    reported = seen.diagnostics["rosenbaum_bounds"]["psm"]
    assert reported["treated_without_counterpart"] == seen.estimate("psm_att").diagnostics["unmatched_rows"] > 0


def test_a_strong_effect_withstands_more_hidden_bias_than_a_weak_one() -> None:
    weak, strong = (
        judged(confounded(1500, effect=effect), only=MATCHINGS).diagnostics["rosenbaum_bounds"] for effect in (0.4, 2.0)
    )
    for name in ("psm", "nn_mahalanobis"):
        assert 1 <= weak[name]["gamma_test"] < weak[name]["gamma_estimate"]
        assert strong[name]["gamma_test"] > 2 * weak[name]["gamma_test"]
        upper = [row["p_upper"] for row in weak[name]["bounds"]]
        assert upper == sorted(upper)
        first = weak[name]["bounds"][0]
        assert first["estimate_lower"] == first["estimate_upper"] == pytest.approx(0.4, abs=0.35)


def test_outcomes_of_two_values_have_tests_and_no_shift() -> None:
    data = confounded(900)
    y = (data.y > np.median(data.y)).astype(float)
    reported = judged(replace(data, y=y, y_kind="binary"), only=MATCHINGS).diagnostics["rosenbaum_bounds"]["psm"]
    assert "estimate_lower" not in reported["bounds"][0]
    assert reported["pairs_without_difference"] > 0


def test_without_a_difference_the_reason_is_said() -> None:
    reported = judged(confounded(600, effect=0.0), only=MATCHINGS).diagnostics["rosenbaum_bounds"]["psm"]
    assert reported["gamma_test"] is None
    assert "does not reject" in reported["reason"]
    assert "reason" in judged(trial(9), only=MATCHINGS).diagnostics["rosenbaum_bounds"].get("psm", {"reason": ""})
    assert "No matching" in judged(trial(), only=["aipw"]).diagnostics["rosenbaum_bounds"]["reason"]
