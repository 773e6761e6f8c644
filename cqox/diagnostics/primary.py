"""Choice of the primary estimate by a rule that depends on the design alone, never on an outcome model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cqox.errors import InvalidRequest
from cqox.estimators import Estimator, Plan, entries

__all__ = ["TESTS", "Primary", "choose_primary"]

_SOMETHING_TO_ADJUST_FOR = "there is something to adjust for"
_FEW_TREATED = "few treated units of the panel start treatment together, so a synthetic control can be fitted"
_PREFERENCES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the log of a policy is mapped", ("ope_dr", "ope_snips", "ope_ips", "ope_dm")),
    ("the cutoff of a score assigns treatment", ("rd_local_linear", "rd_fuzzy")),
    (
        "source and target populations are distinguished",
        ("transport_dr", "transport_g_computation", "transport_weighting"),
    ),
    (
        "an interference network is mapped",
        ("exposure_total", "exposure_direct", "exposure_spillover"),
    ),
    ("proxies of an unmeasured confounder are mapped", ("proximal_2sls",)),
    ("an instrument is mapped", ("iv_2sls", "iv_liml", "iv_fuller", "dml_pliv", "iv_wald")),
    ("'post' separates before from after", ("did_2x2",)),
    ("one series is observed before and after an intervention", ("interrupted_series",)),
    (_FEW_TREATED, ("synthetic_did", "synthetic_control", "synthetic_control_augmented")),
    ("all treated units of the panel start together", ("did_2x2_block",)),
    ("treatment starts at different times in different units", ("did_callaway_santanna", "did_imputation")),
    ("comparison units share the treatment history of units that start treatment", ("panel_matching",)),
    ("the same units are observed over time", ("twfe",)),
    ("locations are mapped, so errors may be spatially correlated", ("spatial_ols",)),
    (
        "the treatment is binary and covariates are mapped",
        ("aipw", "ipwra", "dml_irm_ate", "dr_learner", "x_learner", "t_learner"),
    ),
    ("the treatment is binary and its probability is available for weighting", ("ipw_ate",)),
    (_SOMETHING_TO_ADJUST_FOR, ("ols_adjustment", "lin_interacted", "g_computation_ate", "dml_plr", "s_learner")),
    ("the treatment is binary and nothing is mapped to adjust for", ("difference_in_means",)),
    ("the treatment is continuous and nothing is mapped to adjust for", ("dose_average_derivative",)),
)
"""Features of a design, most specific first, with the estimators that use them in order of preference."""

TESTS = ("rd_density_test",)
"""Catalog entries that test a design and estimate no effect."""

_FEWER_THAN, _PERIODS_BEFORE = 10, 5
"""Most treated units and least pre-treatment periods for a synthetic control to be preferred."""

_ADJUSTING = ("covariates", "propensity_covariates", "fixed_effects", "pscore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """The estimate that the decision uses.

    Attributes:
        name: catalog name; None where no estimator applies.
        rule: sentence that states why it was chosen.
    """

    name: str | None
    rule: str


def choose_primary(plan: Plan, applicable: Sequence[Estimator], requested: str | None) -> Primary:
    """Choose the primary estimate of a design before any outcome model runs.

    The first of these whose estimator applies to the data is chosen: off-policy evaluation of a log, regression
    discontinuity, proxies, instruments, difference in differences and other comparisons over time, doubly robust
    adjustment, weighting, regression adjustment, unadjusted comparison.

    Fewer than ten treated units of a panel that start together, after at least five periods, are compared with a
    synthetic control (synthetic difference in differences if both apply): a few units rarely satisfy parallel trends
    with the mean of all others. More treated units are compared by difference in differences.

    Args:
        plan: the request's plan; only the mapped roles and the timing of treatment are used.
        applicable: requested estimators that apply to the data.
        requested: `options.primary`, which overrides the rule even if it does not apply: replacing it would be a
            choice made after the request.

    Raises:
        InvalidRequest: the catalog has no estimator of the requested name, or it estimates no effect.
    """
    effects = [estimator for estimator in applicable if estimator.name not in TESTS]
    names = {estimator.name for estimator in effects}
    if requested is not None:
        return Primary(name=requested, rule=_requested(plan, requested, requested in names))
    adjusts = any(plan.has(role) for role in _ADJUSTING)
    for feature, preferred in _PREFERENCES:
        if feature == _SOMETHING_TO_ADJUST_FOR and not adjusts:
            continue
        if feature == _FEW_TREATED and not _few_treated(plan):
            continue
        for name in preferred:
            if name in names:
                return Primary(name=name, rule=f"By the design: {feature}.")
    if effects:
        return Primary(name=effects[0].name, rule="It is the first applicable estimator of the catalog.")
    return Primary(name=None, rule="No estimator of an effect applies to these data.")


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


def _requested(plan: Plan, name: str, applies: bool) -> str:
    rule = "It was set by options.primary."
    if applies:
        return rule
    known = {estimator.name: estimator for estimator in entries() if estimator.name not in TESTS}
    if name in TESTS:
        raise InvalidRequest(
            f"'{name}' tests the design and estimates no effect to decide on.", field="options.primary",
            choices=list(known),
        )  # fmt: skip
    if name not in known:
        raise InvalidRequest(f"There is no estimator '{name}'.", field="options.primary", choices=list(known))
    reason = known[name].applies(plan) or "It was not among the requested estimators."
    return f"{rule} It does not apply and is not replaced by another: {reason}"
