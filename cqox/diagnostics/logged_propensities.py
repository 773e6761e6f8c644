"""Tests of the logged probabilities of a policy: importance weights have mean 1 if the probabilities are true.

The mean of the target's weights is 1 (Dudik, Erhan, Langford and Li 2014, doi 10.1214/14-STS500), and so is the mean of
1{action = a} / probability for each action that every row could have had. An action that some rows could not have has a
mean below 1, so that only a mean above 1 contradicts.
"""

import math
from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.json_values import number
from cqox.diagnostics.robust_fit import cluster_codes
from cqox.diagnostics.tables import number_in
from cqox.errors import UnusableData
from cqox.estimators import Codes, Estimate, Json, Plan, Vector
from cqox.estimators.numerics.quantiles import two_sided

__all__ = ["logged_propensities"]

_MOST_ACTIONS = 100


def logged_propensities(plan: Plan, estimates: Sequence[Estimate]) -> dict[str, Json]:
    """Return the mean weight and the weighted frequency of each action with their p-values, and Holm's smallest.

    Raises:
        UnusableData: there is no log of a policy with probabilities.
    """
    data = plan.data
    weighed = [each for each in estimates if each.family == "off_policy" and "mean_weight" in each.diagnostics]
    if data.pscore is None or not weighed:
        raise UnusableData(Message("diagnostics.no-policy-log"))
    mean = number_in(weighed[0].diagnostics["mean_weight"])
    error = number_in(weighed[0].diagnostics["mean_weight_standard_error"])
    tests: list[float] = []
    found: dict[str, Json] = {"mean_weight": mean, "mean_weight_standard_error": error, "mean_weight_p_value": None}
    if mean is not None and error:
        found["mean_weight_p_value"] = two_sided((mean - 1) / error, None)
        tests.append(two_sided((mean - 1) / error, None))
    actions = _actions(plan)
    tests += [p for each in actions if (p := number_in(each["p_value"])) is not None]
    if not tests:
        raise UnusableData(Message("diagnostics.no-policy-log"))
    return {**found, "actions": list(actions), "tests": len(tests), "p_value": min(1.0, len(tests) * min(tests))}


def _actions(plan: Plan) -> list[dict[str, Json]]:
    data = plan.data
    if data.action is None or data.pscore is None:
        return []
    sample = plan.sample("action", "pscore")
    action, chance, codes = sample.take(data.action), sample.take(data.pscore), cluster_codes(plan, sample)
    labels = data.action_labels or ()
    found: list[dict[str, Json]] = []
    for code in np.unique(action)[:_MOST_ACTIONS]:
        weights = (action == code) / chance
        frequency, error = _mean(weights, codes)
        # Above 1 alone: rows that could not have had the action lower the mean.
        p_value = None if not error > 0 else two_sided(max(frequency - 1, 0.0) / error, None)
        found.append({"action": labels[code] if code < len(labels) else str(code), "frequency": number(frequency),
                      "standard_error": number(error), "p_value": p_value})  # fmt: skip
    return found


def _mean(values: Vector, codes: Codes | None) -> tuple[float, float]:
    mean, n = float(values.mean()), len(values)
    away = values - mean
    sums = away if codes is None else np.bincount(codes, away)
    groups = np.count_nonzero(np.bincount(codes)) if codes is not None else n
    return mean, math.sqrt(float(sums @ sums) * groups / max(groups - 1, 1)) / n
