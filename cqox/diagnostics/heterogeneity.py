"""Whom treatment helps more, as the meta-learners found it."""

from collections.abc import Sequence

from cqox.estimators import Estimate, Json

__all__ = ["heterogeneity"]

_PREFERRED = ("causal_forest", "dr_learner", "x_learner", "t_learner")
"""Learners in the order in which their judgement of varying effects is shown."""


def heterogeneity(estimates: Sequence[Estimate]) -> dict[str, Json]:
    """The groups by predicted effect, their tests and the curve of the first learner that has them.

    `learners` has the areas under the curve and the test of equal groups of each.
    """
    known = {estimate.name: estimate for estimate in estimates if estimate.estimate is not None}
    judged = {name: _judged(known[name]) for name in _PREFERRED if name in known}
    if not judged:
        return {"reason": "No estimate that was computed predicts an effect for each row."}
    able = [name for name, table in judged.items() if "groups" in table]
    if not able:
        return {"reason": next(iter(judged.values())).get("reason")}
    shown, learners = able[0], {}
    for name in able:
        learners[name] = {key: judged[name].get(key) for key in ("autoc", "qini", "equal_groups")}
    return {
        "estimator": shown,
        "average_effect": known[shown].estimate,
        "predicted_effects": known[shown].diagnostics.get("predicted_effects"),
        "best_linear_predictor": known[shown].diagnostics.get("best_linear_predictor"),
        **judged[shown],
        "learners": dict(learners),
    }


def _judged(estimate: Estimate) -> dict[str, Json]:
    table = estimate.diagnostics.get("judged_by_scores")
    return table if isinstance(table, dict) else {"reason": None}
