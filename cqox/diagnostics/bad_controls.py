"""Bad controls: covariates that the treatment may affect, so that adjusting for them biases the estimate."""

import numpy as np

from cqox.contract import Gate
from cqox.contract.messages import Message
from cqox.datasets import said_after_treatment
from cqox.diagnostics.json_values import number
from cqox.diagnostics.sensitivity import unconfounded
from cqox.diagnostics.tables import NO_PRIMARY, Table, reason_or, skip, table_in
from cqox.errors import UnusableData
from cqox.estimators import Estimate, Json, Plan
from cqox.estimators.numerics.absorb import compress
from cqox.estimators.numerics.quantiles import critical_value

__all__ = ["bad_controls", "bad_controls_gate"]

_LEAST = 0.01
"""Least partial R² of a covariate on treatment, net of unit and period effects, for it to be reported."""


def bad_controls(plan: Plan) -> dict[str, Json]:
    """List the covariates that their name or their response to treatment marks as post-treatment variables.

    The response is tested in panels: each covariate is the outcome of a two-way fixed effects regression on the
    treatment, with errors clustered by unit and a Bonferroni correction for the number of covariates.

    Raises:
        UnusableData: no covariate is mapped.
    """
    if not plan.has("covariates"):
        raise UnusableData(Message("diagnostics.no-covariates"))
    labels = plan.labels("covariates")
    named = {label: word for label in labels if (word := said_after_treatment(label.partition("=")[0]))}
    found: dict[str, Json] = {"by_name": [{"covariate": label, "word": word} for label, word in named.items()]}
    try:
        responding = _responding(plan)
    except UnusableData as error:
        return {**found, "by_time": [], "by_time_reason": error.detail, "suspected": list(named)}
    found["by_time"] = responding
    suspected = [*named, *(str(each["covariate"]) for each in responding if isinstance(each, dict))]
    return {**found, "suspected": list(dict.fromkeys(suspected))}


def _responding(plan: Plan) -> list[Json]:
    data = plan.data
    if data.unit is None or data.time is None or data.treatment is None or not plan.units_repeat:
        raise UnusableData(Message("diagnostics.bad-controls-need-panel"))
    # Same rows and frame as two-way fixed effects, so that both are computed once.
    sample = plan.sample("y", "treatment", "unit_id", "time", "covariates", "fixed_effects")
    unit, units = compress(sample.take(data.unit))
    if sample.n < 4 or units == sample.n:
        raise UnusableData(Message("diagnostics.no-unit-in-two-periods"))
    frame = plan.frame("xty", sample, (data.unit, data.time, *data.fixed_effects))
    t = frame.matrix[frame.column("t")]
    squares = frame.products[frame.column("t"), frame.column("t")]
    if squares <= 1e-10 * frame.n:
        raise UnusableData(Message("diagnostics.treatment-collinear"))
    weights = np.ones(frame.n) if frame.weights is None else frame.weights
    columns = range(1, frame.at["x"].stop)
    critical = critical_value(plan.settings.alpha / max(len(columns), 1), max(units - 1, 1))
    responding: list[Json] = []
    for column in columns:
        x = frame.matrix[column]
        slope = float(frame.products[column, frame.column("t")] / squares)
        scores = np.bincount(unit, weights * t * (x - slope * t), units)
        error = float(np.sqrt(scores @ scores)) / squares
        share = slope**2 * squares / float(frame.products[column, column])
        if share >= _LEAST and abs(slope) > critical * error:
            responding.append({
                "covariate": frame.labels[column],
                "t": number(slope / error) if error > 0 else None,
                "share_of_variance": number(share),
            })  # fmt: skip
    return responding


def bad_controls_gate(diagnostics: Table, chosen: Estimate | None) -> Gate:
    """Check that the primary estimate does not adjust for a post-treatment covariate."""
    rule = Message("gates.bad-controls-rule")
    if chosen is None or chosen.estimate is None:
        return skip(rule, NO_PRIMARY)
    found = table_in(diagnostics, "bad_controls")
    suspected = found.get("suspected")
    if not isinstance(suspected, list):
        return skip(rule, reason_or(found.get("reason"), Message("gates.no-covariates")))
    if chosen.name == "difference_in_means" or not (unconfounded(chosen) or chosen.family.startswith("did")):
        return skip(rule, Message("gates.no-adjustment", primary=chosen.name))
    if not suspected:
        return Gate(status="pass", value=0.0, threshold=0.0, rule=rule)
    return Gate(
        status="warn", value=float(len(suspected)), threshold=0.0, rule=rule,
        reason=Message("gates.bad-controls", covariates=suspected[:5]),
    )  # fmt: skip
