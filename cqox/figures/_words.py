"""Labels of estimators and estimands, and number formatting for figures."""

import math
import re
import unicodedata

__all__ = [
    "ESTIMANDS",
    "NO_EFFECTS",
    "POLICY_VALUE",
    "amount",
    "decimals_for",
    "described",
    "fixed",
    "p_text",
    "plural",
    "short",
    "width",
]

POLICY_VALUE = "policy value"
"""Estimand that is a mean, not a difference."""

ESTIMANDS = {
    "ATE": "ATE: average effect over all rows",
    "ATT": "ATT: average effect on the treated",
    "ATC": "ATC: average effect on the untreated",
    "ATO": "ATO: average effect where both arms overlap",
    "LATE": "LATE: average effect on the compliers",
    "ATE at the cutoff": "ATE at the cutoff: average effect on units at the cutoff",
    "ACME": "ACME: effect through the mediator",
    "ADE": "ADE: effect not through the mediator",
    "total effect": "Total effect: both paths together",
    POLICY_VALUE: "Policy value: mean reward under the target policy",
    "average derivative": "Average derivative: effect of one more unit of the dose",
    "slope between the dose's quartiles": "Mean slope between the quartiles of the dose",
    "ATT of starting treatment": "ATT of starting treatment: regardless of later treatment",
    "direct effect": "Direct effect: own treatment, untreated neighbours",
    "spillover effect": "Spillover effect: neighbours' treatment, own untreated",
    "total effect of treatment and exposure": "Total effect: own and neighbours' treatment",
    "LATE at the cutoff": "LATE at the cutoff: average effect on compliers at the cutoff",
}

NO_EFFECTS = ("density jump",)
"""Estimands of design tests."""

WEIGHTINGS = {
    "ATE": "Weighted to all rows (ATE)",
    "ATT": "Weighted to the treated (ATT)",
    "ATC": "Weighted to the untreated (ATC)",
    "ATO": "Weighted to the overlap (ATO)",
    "ATE_psm": "Matched by score (ATE)",
    "ATT_psm": "Matched by score (ATT)",
    "ATE_nearest": "Matched by covariates (ATE)",
    "ATT_nearest": "Matched by covariates (ATT)",
    "ATE_strata": "Within strata (ATE)",
    "ATE_entropy": "Balanced to all rows (ATE)",
    "ATT_entropy": "Balanced to the treated (ATT)",
}
"""Labels of the weightings in the diagnostics."""

_LABELS = {
    "difference_in_means": "Difference in means (unadjusted)",
    "ols_adjustment": "Regression adjustment (OLS)",
    "lin_interacted": "Interacted regression (Lin)",
    "g_computation": "G-computation",
    "psm": "Propensity score matching",
    "nn_mahalanobis": "Nearest neighbours (Mahalanobis)",
    "propensity_strata": "Propensity strata",
    "ipw": "Inverse probability weighting",
    "overlap_weights": "Overlap weighting",
    "entropy_balancing": "Entropy balancing",
    "aipw": "Augmented weighting (AIPW)",
    "ipwra": "Weighted regressions (IPWRA)",
    "dml_plr": "Double ML, partially linear",
    "dml_irm": "Double ML, interactive",
    "causal_forest": "Causal forest",
    "dml_plr_boosted": "Double ML, partially linear, boosted",
    "dml_irm_ate_boosted": "Double ML, interactive, boosted",
    "dml_irm_att_boosted": "Double ML, interactive, boosted",
    "s_learner": "S-learner",
    "t_learner": "T-learner",
    "x_learner": "X-learner",
    "dr_learner": "DR-learner",
    "dml_pliv": "Double ML, partially linear IV",
    "iv_2sls": "Two-stage least squares",
    "iv_liml": "Limited information (LIML)",
    "iv_fuller": "Limited information (Fuller)",
    "iv_wald": "Wald ratio",
    "dose_average_derivative": "Average slope (doubly robust)",
    "dose_curve": "Dose curve (doubly robust)",
    "mediation_acme": "Linear mediation, mediated",
    "mediation_ade": "Linear mediation, direct",
    "mediation_total": "Linear mediation, total",
    "exposure_direct": "Exposure classes (Hajek), direct",
    "exposure_spillover": "Exposure classes (Hajek), spillover",
    "exposure_total": "Exposure classes (Hajek), total",
    "spatial_ols": "Regression with spatial errors",
    "panel_matching": "Matching on treatment history",
    "did_2x2": "Difference in differences",
    "did_2x2_block": "Difference in differences (block)",
    "twfe": "Two-way fixed effects",
    "rd_local_linear": "Regression discontinuity",
    "rd_fuzzy": "Fuzzy regression discontinuity",
    "rd_density_test": "Density test at the cutoff",
    "did_callaway_santanna": "Cohort effects (Callaway-Sant'Anna)",
    "interrupted_series": "Interrupted time series",
    "synthetic_control": "Synthetic control",
    "synthetic_control_augmented": "Synthetic control, ridge-augmented",
    "synthetic_did": "Synthetic difference in differences",
    "ope_ips": "Inverse propensity scores",
    "ope_snips": "Self-normalised propensity scores",
    "ope_dm": "Direct method",
    "ope_dr": "Doubly robust",
    "transport_weighting": "Inverse odds of sampling",
    "transport_g_computation": "G-computation in the target",
    "transport_dr": "Doubly robust transport",
    "proximal_2sls": "Proximal two-stage least squares",
    "did_imputation": "Imputation (Borusyak-Jaravel-Spiess)",
}


def described(name: str) -> str:
    """Return the label of an estimator; its catalog name if it has no label.

    The estimand suffix is dropped, because figures group estimates by estimand.
    """
    if name in _LABELS:
        return _LABELS[name]
    bare = re.sub(r"_(ate|att|atc|ato|late)$", "", name)
    return _LABELS.get(bare, bare.replace("_", " "))


def decimals_for(span: float) -> int:
    """Return the decimals that resolve a hundredth of a span."""
    if not span > 0 or not math.isfinite(span):
        return 2
    return min(max(2 - math.floor(math.log10(span)), 0), 8)


def fixed(value: float, decimals: int) -> str:
    """Format a number with fixed decimals, thousands separators and a minus sign; scientific notation if huge."""
    text = f"{value:.2e}" if abs(value) >= 1e12 else f"{value:,.{decimals}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")


def amount(value: float) -> str:
    """Format a single number with three to four significant digits."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "?"
    if abs(value) >= 1e7 or abs(value) < 1e-4:
        return f"{value:.2e}".replace("-", "\N{MINUS SIGN}")
    return fixed(value, max(0, 2 - math.floor(math.log10(abs(value)))))


def p_text(value: float) -> str:
    """Format a p-value as an equation, or as a bound below 0.001."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def plural(count: float, noun: str) -> str:
    """Format a count with its noun."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


def width(text: str) -> int:
    """Return the display width of the text in Latin letters; full-width characters count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def short(text: str, most: int = 48) -> str:
    """Truncate the text to a display width in Latin letters; full-width characters count twice."""
    taken = 0
    for place, letter in enumerate(text):
        taken += width(letter)
        if taken > most:
            return f"{text[: max(place - 1, 1)]}…"
    return text
