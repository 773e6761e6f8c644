"""Off-policy evaluation: the value of a target policy from the log of another one.

All assume that the logging policy chose by the logged probabilities alone and that every action of the target policy
has positive probability in the log; the direct method assumes instead that its reward model is correctly specified, and
the doubly robust one needs either. The target policy is the mapped one, else the constant `options.target_action`, else
uniform over the actions of the log.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Codes, Matrix, Vector
from cqox.estimators.estimate import Estimate, Json
from cqox.estimators.estimator import Estimator, Law
from cqox.estimators.inference.make_estimate import (
    EstimateId,
    effective_rows,
    finite,
    make_estimate,
    no_absorbing,
    varying_outcome,
)
from cqox.estimators.inference.standard_errors import Uncertainty, influence_se
from cqox.estimators.off_policy.reward_model import Rewards, fit_rewards
from cqox.estimators.off_policy.target_policy import (
    CLIPS,
    Policy,
    check_columns,
    column_order,
    same_everywhere,
    unlogged_warning,
    weight_warnings,
)
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = ["ESTIMATORS"]

_FAMILY = "off_policy"
_ESTIMAND = "policy value"
_MOST_ACTIONS = 1_000
_METHOD = "influence function"


def _inverse_propensity(plan: Plan) -> Estimate:
    sample = _sample(plan)
    policy, weights = _policy(plan, sample), _ratios(plan, sample)
    y = sample.take(plan.data.y)
    value = _average(plan, sample, weights * y)
    return _answer(plan, sample, "ope_ips", value, weights * y - value, policy)


def _self_normalised(plan: Plan) -> Estimate:
    sample = _sample(plan)
    policy, weights = _policy(plan, sample), _ratios(plan, sample)
    y, mass = sample.take(plan.data.y), _average(plan, sample, weights)
    value = _average(plan, sample, weights * y) / mass
    return _answer(plan, sample, "ope_snips", value, weights * (y - value) / mass, policy)


def _direct(plan: Plan) -> Estimate:
    sample = _modelled_sample(plan)
    policy, rewards = _policy(plan, sample), _rewards(plan, sample, crossed=False)
    everywhere, influence = rewards.value(policy.all)
    value = _average(plan, sample, everywhere)
    return _answer(plan, sample, "ope_dm", value, everywhere - value + influence, policy, rewards)


def _doubly_robust(plan: Plan) -> Estimate:
    sample = _modelled_sample(plan)
    policy, weights = _policy(plan, sample), _ratios(plan, sample)
    rewards = _rewards(plan, sample, crossed=True)
    everywhere, _ = rewards.value(policy.all)
    scores = everywhere + weights * (sample.take(plan.data.y) - rewards.logged)
    value = _average(plan, sample, scores)
    return _answer(plan, sample, "ope_dr", value, scores - value, policy, rewards)


def _answer(
    plan: Plan, sample: Sample, name: str, value: float, influence: Vector, policy: Policy,
    rewards: Rewards | None = None,
) -> Estimate:  # fmt: skip
    """Return the value with its standard error, and the comparison with the logging policy's value."""
    sampling = plan.weights(sample)
    contributions = influence / sample.n if sampling is None else influence * sampling / sample.n
    clusters, settings = plan.clusters(sample), plan.settings
    uncertainty = _unbiased(influence_se(contributions, clusters, settings, name=_METHOD), plan, sample)
    y = sample.take(plan.data.y)
    logged = _average(plan, sample, y)
    own = (y - logged) / sample.n if sampling is None else (y - logged) * sampling / sample.n
    lift = _unbiased(influence_se(contributions - own, clusters, settings, name=_METHOD), plan, sample)
    diagnostics: dict[str, Json] = {
        "logged_value": logged,
        "lift": value - logged,
        "lift_standard_error": lift.standard_error,
    }
    if plan.has("action"):
        diagnostics["actions"] = len(_labels(plan))
    warnings: list[Message] = []
    effective = None
    if name != "ope_dm":
        effective, details, warnings = _weight_diagnostics(plan, sample)
        diagnostics |= details
    if rewards is not None:
        diagnostics["reward_model"] = rewards.kind
    warnings += unlogged_warning(_unlogged(plan, sample, policy), modelled=rewards is not None)
    notes = [policy.note, *(rewards.notes if rewards is not None else ())]
    return make_estimate(
        EstimateId(name, _FAMILY, _ESTIMAND), plan, sample, value, contributions, uncertainty,
        n_effective=effective, diagnostics=diagnostics, notes=notes, warnings=warnings,
    )  # fmt: skip


def _unbiased(uncertainty: Uncertainty, plan: Plan, sample: Sample) -> Uncertainty:
    """Return the uncertainty with n - 1 instead of n, as for a mean, unless another error was requested."""
    if uncertainty.standard_error is None or plan.settings.se != "auto" or plan.clusters(sample).codes:
        return uncertainty
    return replace(uncertainty, standard_error=uncertainty.standard_error * math.sqrt(sample.n / (sample.n - 1)))


def _weight_diagnostics(plan: Plan, sample: Sample) -> tuple[float, dict[str, Json], list[Message]]:
    """Return the effective rows, diagnostics of the importance weights, and warnings."""
    weights, y = _ratios(plan, sample), sample.take(plan.data.y)
    sampling = plan.weights(sample)
    whole = weights if sampling is None else weights * sampling
    total = float(whole.sum())
    effective = effective_rows(whole, sample.n) if total > 0 else 0.0
    mean = _average(plan, sample, weights)
    spread = (weights - mean) / sample.n if sampling is None else (weights - mean) * sampling / sample.n
    error = influence_se(spread, plan.clusters(sample), plan.settings, name=_METHOD).standard_error
    clipped = {f"{clip:g}": _average(plan, sample, np.minimum(weights, clip) * y) for clip in CLIPS}
    details: dict[str, Json] = {
        "ess": effective,
        "mean_weight": mean,
        "mean_weight_standard_error": error,
        "largest_weight": float(weights.max()),
        "largest_weight_share": finite(float(whole.max() / total)) if total > 0 else None,
        "ips_clipped_at": clipped,  # type: ignore[dict-item]
    }
    return effective, details, weight_warnings(effective, sample.n, mean, error)


def _sample(plan: Plan) -> Sample:
    return plan.sample("y", "action", "pscore", "target_policy")


def _modelled_sample(plan: Plan) -> Sample:
    return plan.sample("y", "action", "pscore", "target_policy", "covariates")


def _rewards(plan: Plan, sample: Sample, *, crossed: bool) -> Rewards:
    return plan.share(
        ("rewards", crossed),
        lambda: fit_rewards(plan, sample, sample.take(_actions(plan)), len(_labels(plan)), crossed=crossed),
        sample,
    )


def _average(plan: Plan, sample: Sample, values: Vector) -> float:
    return float(np.average(values, weights=plan.weights(sample)))


def _actions(plan: Plan) -> Codes:
    assert plan.data.action is not None
    return plan.data.action


def _labels(plan: Plan) -> tuple[str, ...]:
    labels = plan.data.action_labels
    return labels or tuple(str(code) for code in range(int(_actions(plan).max(initial=-1)) + 1))


def _ratios(plan: Plan, sample: Sample) -> Vector:
    """Return (n,) importance weights: target over logging policy's probability of the logged action."""
    assert plan.data.pscore is not None
    pscore = plan.data.pscore
    return plan.share("importance weights", lambda: _policy(plan, sample).taken / sample.take(pscore), sample)


def _policy(plan: Plan, sample: Sample) -> Policy:
    """Return the target policy.

    Raises:
        UnusableData: the columns are neither one nor one for each action, or the requested action is not logged.
    """
    return plan.share("target policy", lambda: _made_policy(plan, sample), sample)


def _made_policy(plan: Plan, sample: Sample) -> Policy:
    mapped, asked = plan.data.target_policy, plan.settings.target_action
    if mapped.shape[1] == 1:
        note = Message("off_policy.probability-of-logged-action", column=plan.label("target_policy"))
        return Policy(taken=sample.take(mapped)[:, 0], all=None, note=note)
    actions, labels = sample.take(_actions(plan)), _labels(plan)
    if mapped.shape[1]:
        everything = _by_action(plan, sample.take(mapped), labels)
        taken = everything[np.arange(sample.n), actions]
        return Policy(taken=taken, all=everything, note=Message("off_policy.column-for-each-action"))
    constant, note = same_everywhere(labels, asked)
    return Policy(taken=constant[actions], all=constant, note=note)


def _by_action(plan: Plan, columns: Matrix, labels: tuple[str, ...]) -> Matrix:
    """Return the policy's columns in the order of the actions: by name if every action ends one column's name.

    Raises:
        UnusableData: not one column for each action, or probabilities that do not sum to 1.
    """
    columns = columns[:, column_order(columns.shape[1], plan.data.names.get("target_policy", ()), labels)]
    columns = np.ascontiguousarray(columns)
    off = float(np.abs(columns.sum(axis=1) - 1.0).max(initial=0.0))
    check_columns(off)
    return columns


def _unlogged(plan: Plan, sample: Sample, policy: Policy) -> list[str]:
    if policy.all is None:
        return []
    labels = _labels(plan)
    seen = np.bincount(sample.take(_actions(plan)), minlength=len(labels)) > 0
    wanted = policy.all > 0 if policy.all.ndim == 1 else (policy.all > 0).any(axis=0)
    return [label for label, missing in zip(labels, wanted & ~seen, strict=True) if missing]


def _rule(plan: Plan) -> Message | None:
    if not plan.has("action") and plan.data.target_policy.shape[1] != 1:
        return Message("off_policy.no-action-or-policy")
    sample = _sample(plan)
    reason = varying_outcome(plan, sample)
    if reason is not None:
        return reason
    if plan.has("action") and len(_labels(plan)) < 2:
        return Message("off_policy.constant-action", action=plan.label("action"))
    if not float(np.sum(_ratios(plan, sample))) > 0:
        return Message("off_policy.no-overlap")
    return None


def _modelled_rule(plan: Plan) -> Message | None:
    reason = _rule(plan) or no_absorbing(plan)
    if reason is not None:
        return reason
    if not plan.has("action"):
        return Message("off_policy.no-action")
    actions = len(_labels(plan))
    if actions > _MOST_ACTIONS:
        return Message("off_policy.too-many-actions", most=_MOST_ACTIONS, actions=actions)
    sample = _modelled_sample(plan)
    if _policy(plan, sample).all is None:
        return Message("off_policy.probability-of-every-action")
    if sample.n <= 2 * (plan.data.covariates.shape[1] + 2):
        return Message("off_policy.too-few-rows", rows=sample.n)
    return None


_LAWS: frozenset[Law] = frozenset({"row_permutation", "outcome_scale", "half_weights", "chunk_size", "threads"})
_ROLES = ("target_policy", "weights", "cluster")


def _entry(
    name: str,
    summary: str,
    paper: str,
    doi: str | None,
    compute: Callable[[Plan], Estimate],
    *,
    modelled: bool = False,
) -> Estimator:
    laws: frozenset[Law] = _LAWS | ({"irrelevant_constant", "collinear_copy"} if modelled else set())
    return Estimator(
        name=name,
        family=_FAMILY,
        estimand=_ESTIMAND,
        summary=summary,
        requires=("y", "pscore"),
        optional=("action", "covariates", *_ROLES) if modelled else ("action", *_ROLES),
        standard_error="of a mean, from the influence function; CRV1 with clusters",
        paper=paper,
        doi=doi,
        checked_against="obp (Open Bandit Pipeline) formulas",
        laws=laws,
        rule=_modelled_rule if modelled else _rule,
        compute=compute,
    )


ESTIMATORS: tuple[Estimator, ...] = (
    _entry(
        "ope_ips",
        "Mean reward of the log weighted by the target's over the logging policy's probability of the logged action.",
        "Horvitz and Thompson 1952, Journal of the American Statistical Association 47",
        "10.1080/01621459.1952.10483446",
        _inverse_propensity,
    ),
    _entry(
        "ope_snips",
        "The same, divided by the mean weight: small bias, less variance, and no value outside the range of rewards.",
        "Swaminathan and Joachims 2015, The self-normalized estimator for counterfactual learning, NeurIPS 28, "
        "equation 4",
        None,
        _self_normalised,
    ),
    _entry(
        "ope_dm",
        "Prediction of a linear reward model under the target policy; needs a correctly specified model.",
        "Dudik, Erhan, Langford and Li 2014, Statistical Science 29, section 3.1",
        "10.1214/14-STS500",
        _direct,
        modelled=True,
    ),
    _entry(
        "ope_dr",
        "The direct method with cross-fitted predictions, corrected by weighted residuals of the log.",
        "Dudik, Erhan, Langford and Li 2014, Statistical Science 29, equation 3.3",
        "10.1214/14-STS500",
        _doubly_robust,
        modelled=True,
    ),
)
