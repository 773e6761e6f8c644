"""G-computation with a logit or probit of a binary outcome: the average marginal effect of a treatment of two levels.

Each arm has its own regression; the effect is the mean difference of their predicted probabilities over the target
population. Its error is that of M-estimation, by the influence of each row on the coefficients and on the mean
(Stefanski and Boos 2002, doi 10.1198/000313002753631330; Stata's `teffects ra` with `logit` or `probit`).
"""

import numpy as np

from cqox.contract.messages import Message
from cqox.estimators.data import Vector
from cqox.estimators.estimate import Estimate
from cqox.estimators.inference.make_estimate import EstimateId, make_estimate, pooled_periods
from cqox.estimators.inference.standard_errors import influence_se
from cqox.estimators.nuisance.response_models import fit_response, is_binary, mean_at, slope_at
from cqox.estimators.plan import Plan

__all__ = ["marginal_effect", "no_binary_outcome"]


def marginal_effect(plan: Plan, family: str, *, target: str) -> Estimate:
    """Return the mean difference of the arms' predicted probabilities over all rows (ATE), the treated (ATT) or the
    untreated (ATC)."""
    sample, model = plan.outcome_sample(), plan.settings.outcome_model
    frame, treated, weights = plan.frame("xty", sample), plan.treated(sample), plan.weights(sample)
    x, y = np.ascontiguousarray(frame.matrix[: frame.at["x"].stop].T), sample.take(plan.data.y)
    share = {"ATE": np.ones(sample.n), "ATT": treated, "ATC": 1.0 - treated}[target]
    share = share if weights is None else share * weights
    share = share / share.sum()
    difference, contributions = np.zeros(sample.n), np.zeros(sample.n)
    for arm, sign in ((treated <= 0, -1.0), (treated > 0, 1.0)):
        fit = fit_response(model, x[arm], y[arm], None if weights is None else weights[arm], response=plan.label("y"))
        eta = x @ fit.coefficients
        difference += sign * mean_at(model, eta)
        gradient: Vector = (share * slope_at(model, eta)) @ x
        contributions[arm] += sign * (gradient @ fit.moves)
    value = float(share @ difference)
    contributions += share * (difference - value)
    uncertainty = influence_se(
        contributions, plan.clusters(sample), plan.settings, name="M-estimation", arm_codes=treated
    )
    return make_estimate(
        EstimateId(f"g_computation_{target.lower()}", family, target), plan, sample, value, contributions, uncertainty,
        diagnostics={"outcome_model": model}, notes=frame.notes, warnings=pooled_periods(plan),
    )  # fmt: skip


def no_binary_outcome(plan: Plan) -> Message | None:
    """Return a reason if the request asks for a logit or probit and the outcome is not 0 or 1."""
    model, sample = plan.settings.outcome_model, plan.outcome_sample()
    if model == "linear" or is_binary(sample.take(plan.data.y)):
        return None
    return Message("nuisance.response-not-binary", option="outcome_model", model=model, response=plan.label("y"))
