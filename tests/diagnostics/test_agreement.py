from dataclasses import replace

import numpy as np
import pytest

from cqox.diagnostics import result_checks
from cqox.diagnostics.agreement import comparable
from cqox.estimators import Estimate
from tests.diagnostics.looking import Judgement, confounded, judged, trial
from tests.estimators.designs import panel


def group(seen: Judgement, name: str) -> dict[str, object]:
    groups = seen.diagnostics["agreement"]["groups"]
    return next(found for found in groups if name in found["estimators"])


def error(seen: Judgement, one: str, other: str) -> float:
    found = group(seen, one)
    names = found["estimators"]
    return found["standard_errors_of_differences"][names.index(one)][names.index(other)]


def named(name: str, family: str, estimand: str) -> Estimate:
    return Estimate(name=name, family=family, estimand=estimand, status="ok", estimate=1.0)


def test_estimates_are_compared_where_estimand_and_assumptions_agree() -> None:
    aipw, ols = named("aipw", "doubly_robust", "ATE"), named("ols_adjustment", "regression", "ATE")
    assert comparable(aipw, ols)
    assert not comparable(aipw, named("ipw_att", "weighting", "ATT"))
    assert not comparable(aipw, named("difference_in_means", "regression", "ATE"))
    assert not comparable(named("twfe", "did", "ATT"), named("ipw_att", "weighting", "ATT"))
    assert comparable(named("twfe", "did", "ATT"), named("did_2x2_block", "did", "ATT"))


def test_the_error_of_a_difference_is_that_of_the_influence_functions() -> None:
    seen = judged(confounded(500))
    one, other = seen.estimate("aipw"), seen.estimate("ols_adjustment")
    difference = one.influence / one.n - other.influence / other.n
    assert error(seen, "aipw", "ols_adjustment") == pytest.approx(np.sqrt(difference @ difference), rel=1e-6)
    assert error(seen, "aipw", "aipw") == 0.0
    assert error(seen, "aipw", "ols_adjustment") < 0.5 * one.standard_error


def test_the_error_of_a_difference_is_right_in_repeated_samples() -> None:
    gaps, reported = [], []
    for seed in range(150):
        seen = judged(confounded(300, seed), only=["aipw", "g_computation_ate", "ols_adjustment"])
        gaps.append(seen.estimate("aipw").estimate - seen.estimate("ols_adjustment").estimate)
        reported.append(error(seen, "aipw", "ols_adjustment"))
    assert np.mean(reported) == pytest.approx(np.std(gaps), rel=0.25)


def test_clusters_widen_the_error_of_a_difference() -> None:
    data = confounded(300)
    twice = np.repeat(np.arange(data.n), 4)
    doubled = replace(
        data, n=len(twice), y=data.y[twice], treatment=data.treatment[twice], covariates=(x := data.covariates[twice]),
        propensity_covariates=x, row_key=data.row_key[twice], clusters=(twice,),
        names={**data.names, "cluster": ("household",)},
    )  # fmt: skip
    only = ["aipw", "ols_adjustment"]
    alone, copied = judged(data, only=only), judged(doubled, only=only)
    assert error(copied, "aipw", "ols_adjustment") == pytest.approx(error(alone, "aipw", "ols_adjustment"), rel=1e-3)


def test_the_range_is_reported() -> None:
    seen = judged(trial())
    found = group(seen, "aipw")
    values = [seen.estimate(name).estimate for name in found["estimators"]]
    assert (found["lowest"], found["highest"], found["median"]) == (min(values), max(values), np.median(values))


def test_a_single_estimate_agrees_with_nobody() -> None:
    assert set(judged(panel(30, staggered=True), only=["twfe"]).diagnostics["agreement"]) == {"reason"}


@pytest.mark.parametrize(("effect", "unit"), [(2.0, 1.0), (0.0, 1.0), (2.0, 1e6), (2.0, 1e-6)])
def test_estimates_of_an_outcome_without_noise_agree_but_for_their_last_digits(effect: float, unit: float) -> None:
    data = confounded(400)
    # No column equals the outcome: on some processors its regression would then have no rounding error at all.
    x = data.covariates
    noiseless = replace(data, y=unit * (effect * data.treatment + x[:, 0] / 3 + x[:, 1] / 7))
    gate = judged(noiseless, only=["aipw", "ols_adjustment", "g_computation_ate"]).gates["agreement"]
    assert (gate.status, gate.reason) == ("pass", None)


def test_a_difference_that_is_no_rounding_is_still_reported_where_there_is_no_noise() -> None:
    data = confounded(400)
    seen = judged(replace(data, y=2 * data.treatment + data.covariates[:, 0]), only=["aipw", "ols_adjustment"])
    primary, other = seen.estimate("aipw"), seen.estimate("ols_adjustment")
    moved = replace(other, estimate=other.estimate + 1e-5)
    gate = result_checks.agreement(seen.diagnostics, [primary, moved], primary)
    assert gate.status == "warn"


def test_a_model_of_rewards_alone_confirms_no_weighted_value_of_a_policy() -> None:
    names = ("ope_dr", "ope_ips", "ope_dm")
    doubly, weighted, model = (
        Estimate(name=name, family="off_policy", estimand="policy value", status="ok", estimate=1.0) for name in names
    )
    assert comparable(doubly, weighted)
    assert not comparable(doubly, model)
    assert comparable(model, doubly)
