"""Numbers and names as people read them in figures."""

import math

__all__ = ["ESTIMANDS", "LABELS", "amount", "short"]

ESTIMANDS = {
    "ATE": "ATE: average effect over all rows",
    "ATT": "ATT: average effect on the treated",
    "ATC": "ATC: average effect on the untreated",
    "ATO": "ATO: average effect where both arms overlap",
    "LATE": "LATE: average effect on those whom the instrument moves",
}

LABELS = {
    "difference_in_means": "Difference in means (unadjusted)",
    "ols_adjustment": "Regression adjustment (OLS)",
    "lin_interacted": "Interacted regression (Lin)",
    "g_computation_ate": "G-computation",
    "g_computation_att": "G-computation",
    "ipw_ate": "Inverse probability weighting",
    "ipw_att": "Inverse probability weighting",
    "aipw": "Augmented weighting (AIPW)",
    "ipwra": "Weighted regressions (IPWRA)",
    "dml_plr": "Double ML, partially linear",
    "dml_irm_ate": "Double ML, interactive",
    "dml_irm_att": "Double ML, interactive",
    "iv_2sls": "Two-stage least squares",
    "iv_wald": "Wald ratio",
    "did_2x2": "Difference in differences",
    "did_2x2_block": "Difference in differences (block)",
    "twfe": "Two-way fixed effects",
}
"""Estimators by their names in the field; one that is missing here keeps its catalog name."""


def amount(value: float) -> str:
    """A number with three to four significant digits, thousands apart and a true minus sign."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "?"
    size = abs(value)
    if size >= 1e7 or size < 1e-4:
        text = f"{value:.2e}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    else:
        decimals = max(0, 3 - (math.floor(math.log10(size)) + 1))
        text = f"{value:.{min(decimals, 6)}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def short(text: str, most: int = 48) -> str:
    """The text, cut where it is long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
