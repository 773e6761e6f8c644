"""Heterogeneous effects as estimated by the meta-learners and the causal forest."""

from collections.abc import Sequence

from cqox.contract.messages import Message
from cqox.estimators import Estimate, Json

__all__ = ["heterogeneity"]

_PREFERRED = ("causal_forest", "dr_learner", "x_learner", "t_learner")
"""Learners in order of preference for the reported heterogeneity."""


def heterogeneity(estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the groups by predicted effect, their tests and the Qini curve of the preferred learner.

    `learners` holds AUTOC, Qini coefficient and the test of equal group effects of each learner.
    """
    known = {estimate.name: estimate for estimate in estimates if estimate.estimate is not None}
    validated = {name: _validation(known[name]) for name in _PREFERRED if name in known}
    if not validated:
        return {"reason": Message("diagnostics.no-conditional-effects")}
    with_groups = [name for name, table in validated.items() if "groups" in table]
    if not with_groups:
        return {"reason": next(iter(validated.values())).get("reason")}
    shown, learners = with_groups[0], {}
    for name in with_groups:
        learners[name] = {key: validated[name].get(key) for key in ("autoc", "qini", "equal_groups")}
    return {
        "estimator": shown,
        "average_effect": known[shown].estimate,
        "predicted_effects": known[shown].diagnostics.get("predicted_effects"),
        "best_linear_predictor": known[shown].diagnostics.get("best_linear_predictor"),
        **validated[shown],
        "learners": dict(learners),
    }


def _validation(estimate: Estimate) -> dict[str, Json]:
    table = estimate.diagnostics.get("judged_by_scores")
    return table if isinstance(table, dict) else {"reason": None}
