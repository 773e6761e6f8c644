"""Choice of the primary estimate by a rule that depends on the design alone, never on an outcome model."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.estimators import Estimator, Plan, entries
from cqox.estimators.inference.cluster_arms import clusters_by_arm

__all__ = ["TESTS", "Primary", "choose_primary"]

_SOMETHING_TO_ADJUST_FOR = Message("verdict.design-adjustment")
_FEW_TREATED = Message("verdict.design-few-treated")
_PREFERENCES: tuple[tuple[Message, tuple[str, ...]], ...] = (
    (Message("verdict.design-policy-log"), ("ope_dr", "ope_snips", "ope_ips", "ope_dm")),
    (Message("verdict.design-cutoff"), ("rd_local_linear", "rd_fuzzy")),
    (Message("verdict.design-two-populations"), ("transport_dr", "transport_g_computation", "transport_weighting")),
    (Message("verdict.design-network"), ("exposure_total", "exposure_direct", "exposure_spillover")),
    (Message("verdict.design-proxies"), ("proximal_2sls",)),
    (Message("verdict.design-instrument"), ("iv_2sls", "iv_liml", "iv_fuller", "dml_pliv", "iv_wald")),
    (Message("verdict.design-post"), ("did_2x2",)),
    (Message("verdict.design-one-series"), ("interrupted_series",)),
    (_FEW_TREATED, ("synthetic_did", "synthetic_control", "synthetic_control_augmented")),
    (Message("verdict.design-one-start"), ("did_2x2_block",)),
    (Message("verdict.design-staggered"), ("did_callaway_santanna", "did_imputation")),
    (Message("verdict.design-shared-history"), ("panel_matching",)),
    (Message("verdict.design-panel"), ("twfe",)),
    (Message("verdict.design-locations"), ("spatial_ols",)),
    (
        Message("verdict.design-binary-with-covariates"),
        ("aipw", "ipwra", "dml_irm_ate", "dr_learner", "x_learner", "t_learner"),
    ),
    (Message("verdict.design-binary-with-probability"), ("ipw_ate",)),
    (_SOMETHING_TO_ADJUST_FOR, ("ols_adjustment", "lin_interacted", "g_computation_ate", "dml_plr", "s_learner")),
    (Message("verdict.design-binary-unadjusted"), ("difference_in_means",)),
    (Message("verdict.design-continuous-unadjusted"), ("dose_average_derivative",)),
)
"""Features of a design, most specific first, with the estimators that use them in order of preference."""

TESTS = ("rd_density_test",)
"""Catalog entries that test a design and estimate no effect."""

_FEWER_THAN, _PERIODS_BEFORE = 10, 5
"""Most treated units and least pre-treatment periods for a synthetic control to be preferred."""

_LIN, _ANCOVA = 20, 5
"""Rows per coefficient of the smaller arm from which a trial is analysed by Lin's regression, or by one common slope.

Coverage is nominal under these cuts too; what slopes cost is variance: k coefficients estimated by m rows of an arm
widen the interval as (1 + k/m) does, and save what the covariates explain.
"""

_TWO_ARMS = (
    "verdict.design-binary-with-covariates",
    "verdict.design-adjustment",
    "verdict.design-binary-unadjusted",
)
"""Features of a plain comparison of two arms."""

_ADJUSTING = ("covariates", "propensity_covariates", "fixed_effects", "pscore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """The estimate that the decision uses.

    Attributes:
        name: catalog name; None where no estimator applies.
        rule: sentence that states why it was chosen.
    """

    name: str | None
    rule: Message


def choose_primary(
    plan: Plan, applicable: Sequence[Estimator], requested: str | None, *, assignment: str = "unknown"
) -> Primary:
    """Choose the primary estimate of a design before any outcome model runs.

    The first of these whose estimator applies to the data is chosen: off-policy evaluation of a log, regression
    discontinuity, proxies, instruments, difference in differences and other comparisons over time, doubly robust
    adjustment, weighting, regression adjustment, unadjusted comparison.

    Fewer than ten treated units of a panel that start together, after at least five periods, are compared with a
    synthetic control (synthetic difference in differences if both apply): a few units rarely satisfy parallel trends
    with the mean of all others. More treated units are compared by difference in differences.

    A trial of two arms needs no model of the treatment: it is analysed by Lin's regression (2013, doi
    10.1214/12-AOAS583) where the smaller arm has enough rows per coefficient, else with one slope for both arms, else
    without the covariates. Mapped clusters are counted instead of rows.

    Args:
        plan: the request's plan; only the mapped roles and the timing of treatment are used.
        applicable: requested estimators that apply to the data.
        requested: `options.primary`, which overrides the rule even if it does not apply: replacing it would be a
            choice made after the request.
        assignment: `options.assignment`; `randomized` for a trial.

    Raises:
        InvalidRequest: the catalog has no estimator of the requested name, or it estimates no effect.
    """
    effects = [estimator for estimator in applicable if estimator.name not in TESTS]
    names = {estimator.name for estimator in effects}
    if requested is not None:
        return Primary(name=requested, rule=_requested(plan, requested, requested in names))
    adjusts = any(plan.has(role) for role in _ADJUSTING)
    for feature, preferred in _PREFERENCES:
        if feature is _SOMETHING_TO_ADJUST_FOR and not adjusts:
            continue
        if feature is _FEW_TREATED and not _few_treated(plan):
            continue
        if assignment == "randomized" and feature.code in _TWO_ARMS:
            found = _trial(plan, names)
            if found is not None:
                return found
        for name in preferred:
            if name in names:
                return Primary(name=name, rule=Message("verdict.by-design", feature=feature))
    if effects:
        return Primary(name=effects[0].name, rule=Message("verdict.first-applicable"))
    return Primary(name=None, rule=Message("verdict.nothing-applies"))


def _trial(plan: Plan, names: Collection[str]) -> Primary | None:
    """Return the primary estimate of a randomised comparison of two arms; None where the general rule holds."""
    data = plan.data
    if data.treatment_kind != "binary" or plan.has("pscore"):
        return None
    width = data.covariates.shape[1] if plan.has("covariates") else 0
    lin, ancova, plain = "lin_interacted", "ols_adjustment", "difference_in_means"
    if plan.has("fixed_effects"):
        return _if_applicable(names, ancova, Message("verdict.trial-with-effects"))
    if not width:
        return _if_applicable(names, plain, Message("verdict.trial-unadjusted"))
    count = _smaller_arm(plan)
    if count >= _LIN * (width + 1) and lin in names:
        rule = Message("verdict.trial-by-arm", number=count, coefficients=width + 1, least=_LIN)
        return _if_applicable(names, lin, rule)
    if count >= _ANCOVA * (width + 1) and ancova in names:
        rule = Message("verdict.trial-common-slopes", number=count, coefficients=width + 1, least=_LIN)
        return _if_applicable(names, ancova, rule)
    rule = Message("verdict.trial-too-few", number=count, coefficients=width + 1, least=_ANCOVA)
    return _if_applicable(names, plain, rule)


def _if_applicable(names: Collection[str], name: str, rule: Message) -> Primary | None:
    return Primary(name=name, rule=rule) if name in names else None


def _smaller_arm(plan: Plan) -> int:
    """Return the rows of the smaller arm, or its clusters where clusters are mapped; no outcome is read."""
    sample = plan.sample("treatment", "covariates")
    rows = min(plan.arm_rows(sample))
    by_arm = clusters_by_arm(plan.clusters(sample).codes, plan.treated(sample))
    return rows if by_arm is None else min(rows, by_arm.fewer)


def _few_treated(plan: Plan) -> bool:
    """Return whether a panel has few treated units with enough pre-treatment periods."""
    data = plan.data
    if data.unit is None or data.time is None or data.treatment is None or data.treatment_kind != "binary":
        return False
    treated = (data.treatment > 0) & (data.unit >= 0) & (data.time >= 0)
    if not treated.any():
        return False
    start = data.time[treated].min()
    before = len(np.unique(data.time[(data.time >= 0) & (data.time < start)]))
    return len(np.unique(data.unit[treated])) < _FEWER_THAN and before >= _PERIODS_BEFORE


def _requested(plan: Plan, name: str, applies: bool) -> Message:
    if applies:
        return Message("verdict.requested")
    known = {estimator.name: estimator for estimator in entries() if estimator.name not in TESTS}
    if name in TESTS:
        raise InvalidRequest(
            Message("verdict.estimates-no-effect", estimator=name), field="options.primary", choices=list(known)
        )  # fmt: skip
    if name not in known:
        raise InvalidRequest(
            Message("verdict.unknown-estimator", estimator=name), field="options.primary", choices=list(known)
        )
    reason = known[name].applies(plan) or Message("verdict.not-among-requested")
    return Message("verdict.requested-but-inapplicable", reason=reason)
