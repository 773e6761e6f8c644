"""Effects that must be zero if no confounder is left: on a negative-control outcome, and of a negative exposure.

Both are coefficients of a linear regression with robust errors (clustered where rows are): of the treatment on each
mapped `proxy_outcome` given the covariates, and of each `proxy_treatment` on the outcome given treatment and covariates
(Lipsitch, Tchetgen Tchetgen and Cohen 2010, doi 10.1097/EDE.0b013e3181d61eeb). They say nothing of a proximal estimate,
which takes the same associations for the traces of the confounder that it removes.
"""

from collections.abc import Sequence

import numpy as np

from cqox.contract.messages import Message
from cqox.diagnostics.holm import holm
from cqox.diagnostics.json_values import number
from cqox.errors import UnusableData
from cqox.estimators import Json, Matrix, Plan
from cqox.estimators.inference.least_squares import focus, regress
from cqox.estimators.inference.standard_errors import regression_se
from cqox.estimators.numerics.frame import build_frame
from cqox.estimators.numerics.quantiles import two_sided

__all__ = ["negative_controls"]

type _Column = tuple[str, Matrix, tuple[str, ...]]
"""Role, (n, 1) values and label of a column."""


def negative_controls(plan: Plan) -> dict[str, Json]:
    """Estimate each effect that must be zero, with p-values by Holm.

    Raises:
        UnusableData: no proxy is mapped, or no treatment.
    """
    if not (plan.has("proxy_outcome") or plan.has("proxy_treatment")):
        raise UnusableData(Message("diagnostics.no-negative-control"))
    if plan.data.treatment is None:
        raise UnusableData(Message("diagnostics.no-negative-control-without-treatment"))
    controls: list[dict[str, Json]] = []
    treatment = ("t", plan.data.treatment[:, None], plan.labels("treatment"))
    for column in _columns(plan, "proxy_outcome"):
        controls.append(_tested(plan, column, cause=treatment, outcome=column, given=()))
    if plan.has("y"):
        outcome = ("y", plan.data.y[:, None], plan.labels("y"))
        for column in _columns(plan, "proxy_treatment"):
            controls.append(_tested(plan, column, cause=column, outcome=outcome, given=(treatment,)))
    computed = [(control, value) for control in controls if isinstance(value := control.get("p_value"), float)]
    if not computed:
        return {"controls": list(controls), "reason": Message("diagnostics.no-negative-control-estimated")}
    adjusted = holm([value for _, value in computed])
    for (control, _), value in zip(computed, adjusted, strict=True):
        control["p_value_holm"] = number(value)
    least = int(np.argmin([value for _, value in computed]))
    return {
        "controls": list(controls),
        "smallest": {**computed[least][0], "p_value": number(adjusted[least])},
    }


def _columns(plan: Plan, role: str) -> list[_Column]:
    if not plan.has(role):
        return []
    matrix = plan.data.proxy_outcome if role == "proxy_outcome" else plan.data.proxy_treatment
    return [(role, matrix[:, [at]], (label,)) for at, label in enumerate(plan.labels(role))]


def _tested(
    plan: Plan, control: _Column, *, cause: _Column, outcome: _Column, given: Sequence[_Column]
) -> dict[str, Json]:
    role, _, (name,) = control
    found: dict[str, Json] = {"name": name, "role": role}
    try:
        return {**found, **_coefficient(plan, cause, outcome, given)}
    except UnusableData as error:
        return {**found, "p_value": None, "reason": error.detail}


def _coefficient(plan: Plan, cause: _Column, outcome: _Column, given: Sequence[_Column]) -> dict[str, Json]:
    data = plan.data
    complete = plan.sample("treatment", "covariates", "fixed_effects", *{cause[0], outcome[0]} - {"t"})
    controls = [matrix for _, matrix, _ in given]
    labels = [label for _, _, names in given for label in names]
    if plan.has("covariates"):
        controls.insert(0, data.covariates)
        labels[:0] = plan.labels("covariates")
    groups: dict[str, tuple[Matrix, Sequence[str]]] = {"t": cause[1:], "y": outcome[1:]}
    if controls:
        groups = {"x": (np.column_stack(controls), labels), **groups}
    frame = build_frame(
        complete, groups, weights=data.weights, block=plan.settings.chunk_rows, threads=plan.settings.threads,
        effects=data.fixed_effects,
    )  # fmt: skip
    regressors = focus(frame, "t", Message("inference.the-treatment-named", treatment=cause[2][0]))
    contrast = np.zeros(len(regressors))
    contrast[-1] = 1.0
    clusters = plan.clusters(complete)
    fit = regress(frame, regressors, contrast, clusters=clusters.codes, arm_codes=None)
    uncertainty = regression_se(fit, clusters, plan.settings)
    error = uncertainty.standard_error
    return {
        "estimate": number(fit.value), "standard_error": None if error is None else number(error),
        "p_value": None if not error else number(two_sided(fit.value / error, uncertainty.degrees)),
        "rows": complete.n,
    }  # fmt: skip
