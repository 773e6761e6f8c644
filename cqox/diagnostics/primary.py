"""Which one estimate the decision rests on, by a rule that looks at the design and never at an outcome model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cqox.errors import InvalidRequest
from cqox.estimators import Estimator, Plan, entries

__all__ = ["TESTS", "Primary", "choose_primary"]

_SOMETHING_TO_ADJUST_FOR = "there is something to adjust for"
_FEW_TREATED = "a few treated units of the panel start together, so that others can be weighted to be like them"
_PREFERENCES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the log of a policy is mapped", ("ope_dr", "ope_snips", "ope_ips", "ope_dm")),
    ("the cutoff of a score assigns treatment", ("rd_local_linear", "rd_fuzzy")),
    (
        "source and target populations are told apart",
        ("transport_dr", "transport_g_computation", "transport_weighting"),
    ),
    (
        "it is mapped whose treatment reaches whom",
        ("exposure_total", "exposure_direct", "exposure_spillover"),
    ),
    ("proxies of an unmeasured confounder are mapped", ("proximal_2sls",)),
    ("an instrument is mapped", ("iv_2sls", "iv_liml", "iv_fuller", "dml_pliv", "iv_wald")),
    ("'post' tells before from after", ("did_2x2",)),
    ("one series is seen before and after an intervention", ("interrupted_series",)),
    (_FEW_TREATED, ("synthetic_did", "synthetic_control", "synthetic_control_augmented")),
    ("all treated units of the panel start together", ("did_2x2_block",)),
    ("treatment starts at different times in different units", ("did_callaway_santanna", "did_imputation")),
    ("others share the history of treatment of units that start it", ("panel_matching",)),
    ("the same units are observed over time", ("twfe",)),
    ("places are mapped, where errors are correlated", ("spatial_ols",)),
    (
        "two levels of the treatment are compared and covariates are mapped",
        ("aipw", "ipwra", "dml_irm_ate", "dr_learner", "x_learner", "t_learner"),
    ),
    ("two levels of the treatment are compared and its probability can be weighted by", ("ipw_ate",)),
    (_SOMETHING_TO_ADJUST_FOR, ("ols_adjustment", "lin_interacted", "g_computation_ate", "dml_plr", "s_learner")),
    ("two levels of the treatment are compared and nothing is mapped to adjust for", ("difference_in_means",)),
    ("the treatment is an amount and nothing is mapped to adjust for", ("dose_average_derivative",)),
)
"""Features of a design, the most telling first, with the estimators that make use of them in order of preference."""

TESTS = ("rd_density_test",)
"""Entries that test a design and estimate no effect."""

_FEWER_THAN, _PERIODS_BEFORE = 10, 5
"""Treated units, and periods before their treatment at least, for a synthetic comparison to come first."""

_ADJUSTING = ("covariates", "propensity_covariates", "fixed_effects", "pscore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """The estimate that a decision rests on.

    Attributes:
        name: catalog name; None where no estimator applies.
        rule: by which it was chosen, a sentence.
    """

    name: str | None
    rule: str


def choose_primary(plan: Plan, applicable: Sequence[Estimator], requested: str | None) -> Primary:
    """The primary estimate of a design, fixed before any outcome model runs.

    The log of a policy has no other use; a cutoff comes before proxies and instruments, those before a comparison over
    time, that before adjustment by a doubly robust estimator, that before weighting, that before adjustment by
    regression, and a plain comparison is last: the first of
    these whose estimator applies to the data is chosen.

    Fewer than ten treated units of a panel that start together, after at least five periods, are compared with a
    synthetic control (in differences where both apply): a handful of units rarely moves in parallel with the mean of
    all others. More of them are compared by plain differences.

    Args:
        plan: the request's plan; only which roles are mapped, and who is treated when, is looked at.
        applicable: the estimators that apply, of those that were asked for.
        requested: the name that the request gave, which goes before any rule, also where it does not apply: to put
            another in its place would be a choice made after the request.

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
        return Primary(name=effects[0].name, rule="It is the first of the catalog that applies to these data.")
    return Primary(name=None, rule="No estimator of an effect applies to these data.")


def _few_treated(plan: Plan) -> bool:
    """Whether a panel has few treated units, seen long enough before."""
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
    rule = "It was named by options.primary."
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
    reason = known[name].applies(plan) or "It was not among the estimators that were asked for."
    return f"{rule} It does not apply, and no other takes its place: {reason}"
