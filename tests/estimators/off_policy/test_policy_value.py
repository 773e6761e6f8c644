"""Off-policy evaluation against its definitions, against truth, and where it must doubt."""

from dataclasses import replace

import numpy as np
import pytest

from cqox.estimators import Data, Estimate, Plan, Settings, catalog, run
from tests.estimators.designs import logged, row_keys
from tests.validation import Validated, half_width, record

NAMES = ("ope_ips", "ope_snips", "ope_dm", "ope_dr")


def answer(data: Data, name: str, **settings: object) -> Estimate:
    entry = next(entry for entry in catalog() if entry.name == name)
    return run(entry, Plan(data, Settings(**settings)))


def truth(data: Data) -> float:
    """The target policy's mean reward in the design's sample of covariates."""
    x, actions = data.covariates, np.arange(data.target_policy.shape[1])
    means = 1.0 + 0.5 * actions + (x @ [1.0, -0.5])[:, None] + 0.3 * actions * x[:, 1:]
    return float((data.target_policy * means).sum(axis=1).mean())


def test_inverse_propensity_scores_are_their_formula():
    data = logged()
    weights = data.target_policy[np.arange(data.n), data.action] / data.pscore
    ips, snips = answer(data, "ope_ips"), answer(data, "ope_snips", se="HC0")
    assert ips.estimate == pytest.approx(np.mean(weights * data.y), rel=1e-12)
    assert ips.standard_error == pytest.approx(np.std(weights * data.y, ddof=1) / np.sqrt(data.n), rel=1e-9)
    normal = np.sum(weights * data.y) / np.sum(weights)
    assert snips.estimate == pytest.approx(normal, rel=1e-12)
    spread = np.sqrt(np.sum((weights * (data.y - normal)) ** 2)) / np.sum(weights)
    assert snips.standard_error == pytest.approx(spread, rel=1e-9)
    assert ips.diagnostics["ess"] == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert ips.n_effective == ips.diagnostics["ess"]
    assert ips.diagnostics["ips_clipped_at"]["5"] == pytest.approx(np.mean(np.minimum(weights, 5) * data.y))
    assert ips.diagnostics["lift"] == pytest.approx(ips.estimate - data.y.mean())


def test_the_direct_method_is_a_regression_for_each_action():
    data = logged()
    design = np.column_stack([np.ones(data.n), data.covariates])
    total = np.zeros(data.n)
    for action in range(3):
        own = data.action == action
        beta = np.linalg.lstsq(design[own], data.y[own], rcond=None)[0]
        total += data.target_policy[:, action] * (design @ beta)
    result = answer(data, "ope_dm")
    assert result.diagnostics["reward_model"] == "by action"
    assert result.estimate == pytest.approx(total.mean(), rel=1e-10)


def test_slopes_are_shared_where_an_action_has_few_rows():
    data = logged(400, actions=60, policy=False)
    dummies = (data.action[:, None] == np.arange(60)).astype(float)
    dummies = dummies[:, dummies.any(axis=0)]
    beta = np.linalg.lstsq(np.column_stack([dummies, data.covariates]), data.y, rcond=None)[0]
    by_action = np.full(60, np.nan)
    by_action[np.unique(data.action)] = beta[: dummies.shape[1]]
    missing = np.isnan(by_action)
    by_action[missing] = data.y.mean() - data.covariates.mean(axis=0) @ beta[-2:]
    expected = by_action.mean() + data.covariates.mean(axis=0) @ beta[-2:]
    result = answer(data, "ope_dm")
    assert result.diagnostics["reward_model"] == "additive"
    assert result.estimate == pytest.approx(expected, rel=1e-9)


def test_without_a_policy_the_uniform_one_is_evaluated_and_said():
    data = logged(policy=False)
    result = answer(data, "ope_ips")
    assert result.estimate == pytest.approx(np.mean(data.y / 3 / data.pscore))
    assert any("uniform policy over the 3 logged actions" in note for note in result.diagnostics["notes"])


def test_a_constant_policy_is_the_mean_of_its_action_in_a_randomised_log():
    data = logged(policy=False)
    data = replace(data, pscore=np.full(data.n, 0.5))
    own = data.action == 1
    assert answer(data, "ope_snips", target_action="a1").estimate == pytest.approx(data.y[own].mean())
    missing = answer(data, "ope_snips", target_action="a9")
    assert missing.status == "skipped"
    assert "a9" in missing.reason


def test_columns_are_known_by_their_actions_whatever_their_order():
    data = logged()
    turned = replace(
        data,
        target_policy=data.target_policy[:, ::-1],
        names={**data.names, "target_policy": data.names["target_policy"][::-1]},
    )
    for name in NAMES:
        assert answer(turned, name).estimate == pytest.approx(answer(data, name).estimate, rel=1e-12)


def test_the_probability_of_the_logged_action_is_enough_for_weighting():
    data = logged()
    taken = data.target_policy[np.arange(data.n), data.action][:, None]
    alone = replace(data, target_policy=taken, action=None, action_labels=None)
    assert answer(alone, "ope_ips").estimate == pytest.approx(answer(data, "ope_ips").estimate, rel=1e-12)
    modelled = answer(replace(data, target_policy=taken), "ope_dr")
    assert modelled.status == "skipped"
    assert "every action" in modelled.reason


def test_a_policy_that_does_not_sum_to_one_is_refused():
    data = logged()
    result = answer(replace(data, target_policy=1.1 * data.target_policy), "ope_ips")
    assert result.status == "skipped"
    assert "sum to 1" in result.reason


def test_probabilities_that_are_not_those_of_the_log_lead_to_a_warning():
    data = logged()
    assert answer(data, "ope_ips").status == "ok"
    warned = answer(replace(data, pscore=np.minimum(1.0, 2.0 * data.pscore)), "ope_ips")
    assert any("average" in warning for warning in warned.warnings)


def test_actions_that_a_cluster_takes_together_do_not_belie_their_probabilities():
    fired = 0
    for seed in range(40):
        sessions = logged(40, seed)
        keys = np.random.default_rng(seed).integers(0, 2**63, 40).astype(np.uint64)
        data = replace(sessions, row_key=keys, clusters=(np.arange(40),)).rows(np.repeat(np.arange(40), 25))
        reported = answer(data, "ope_ips")
        fired += any("average" in warning for warning in reported.warnings)
        weights = answer(sessions, "ope_ips").diagnostics
        # Rows that repeat a session's are worth no more than one.
        assert reported.diagnostics["mean_weight"] == pytest.approx(weights["mean_weight"], rel=1e-10)
        error = reported.diagnostics["mean_weight_standard_error"]
        assert error == pytest.approx(weights["mean_weight_standard_error"] * np.sqrt(40 / 39), rel=1e-8)
    assert fired <= 2


def test_rewards_are_not_modelled_by_a_fold_that_leaves_no_rows():
    data = logged(60)
    result = answer(replace(data, row_key=np.full(60, 7, dtype=np.uint64)), "ope_dr")
    assert result.status == "skipped"
    assert "there are 0 rows to model the rewards" in result.reason


def test_a_policy_far_from_the_log_leads_to_a_warning():
    data = logged()
    rare = np.argsort(np.bincount(data.action))[0]
    policy = np.full((data.n, 3), 0.001)
    policy[:, rare] = 0.998
    data = replace(data, target_policy=policy, pscore=np.where(data.action == rare, 0.02, data.pscore))
    keep = np.flatnonzero((data.action != rare) | (np.random.default_rng(1).random(data.n) < 0.05))
    assert any("effective sample size" in warning for warning in answer(data.rows(keep), "ope_snips").warnings)


def test_clusters_widen_the_interval_of_rewards_that_move_together():
    rng = np.random.default_rng(2)
    data = logged(1000)
    group = np.arange(1000) // 20
    shaken = replace(data, y=data.y + 2.0 * rng.standard_normal(50)[group])
    plain = answer(shaken, "ope_dr")
    clustered = answer(replace(shaken, clusters=(group,)), "ope_dr")
    assert clustered.standard_error > 1.5 * plain.standard_error
    assert clustered.se_method.startswith("CRV")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("actions", [3, 60])
def test_intervals_of_policy_values_cover(actions: int, capsys: pytest.CaptureFixture[str]):
    replications, rows = 1_000, 1_000
    names = NAMES if actions == 3 else ("ope_ips", "ope_snips", "ope_dr")
    big = logged(400_000, 1, actions=actions)
    goal = truth(big)
    del big
    values: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in names}
    for replication in range(replications):
        data = logged(rows, 20_240 + replication, actions=actions)
        for name in names:
            found = answer(data, name)
            values[name].append((found.estimate, found.standard_error, found.ci_lower <= goal <= found.ci_upper))
    for name, drawn in values.items():
        estimates, errors, inside = (np.asarray(each) for each in zip(*drawn, strict=True))
        rate, sd, bias = float(inside.mean()), float(estimates.std(ddof=1)), float(estimates.mean() - goal)
        ratio = float(errors.mean() / sd)
        with capsys.disabled():
            print(f"\n{name:10} {actions} actions: coverage {rate:.3f} bias {bias:+.4f} sd {sd:.4f} se/sd {ratio:.3f}")
        found = Validated(
            design=f"Log of a policy over {actions} actions", estimator=name, replications=replications, rows=rows,
            truth=goal, bias=bias, sd=sd, se_ratio=ratio, coverage=rate,
        )  # fmt: skip
        record(found)
        half = half_width(rate, replications)
        assert rate + half >= 0.93, name
        assert rate - half <= 0.97, name
        assert abs(bias) <= 3 * sd / np.sqrt(replications) + 0.02 * sd, name
        assert ratio == pytest.approx(1.0, abs=0.07), name


def test_a_log_without_probabilities_asks_for_them():
    data = replace(logged(), pscore=None)
    for name in NAMES:
        result = answer(data, name)
        assert result.status == "skipped"
        assert "'pscore'" in result.reason


def test_actions_that_the_log_never_took_are_named():
    data = logged(policy=False)
    data = replace(data, action_labels=(*data.action_labels, "a3"), row_key=row_keys(data.covariates))
    result = answer(data, "ope_dr")
    assert any("a3" in warning for warning in result.warnings)
