"""Labels of estimators and estimands, for figures and documents."""

import re

from cqox.contract.messages import Message

__all__ = ["ESTIMANDS", "NO_EFFECTS", "POLICY_VALUE", "described", "estimand_name"]

POLICY_VALUE = "policy value"
"""Estimand that is a mean, not a difference."""

ESTIMANDS = {
    "ATE": Message("figures.estimand-ate"),
    "ATT": Message("figures.estimand-att"),
    "ATC": Message("figures.estimand-atc"),
    "ATO": Message("figures.estimand-ato"),
    "LATE": Message("figures.estimand-late"),
    "ATE at the cutoff": Message("figures.estimand-ate-at-the-cutoff"),
    "ACME": Message("figures.estimand-acme"),
    "ADE": Message("figures.estimand-ade"),
    "total effect": Message("figures.estimand-total-effect"),
    POLICY_VALUE: Message("figures.estimand-policy-value"),
    "average derivative": Message("figures.estimand-average-derivative"),
    "slope between the dose's quartiles": Message("figures.estimand-slope-between-the-dose-quartiles"),
    "ATT of starting treatment": Message("figures.estimand-att-of-starting-treatment"),
    "direct effect": Message("figures.estimand-direct-effect"),
    "spillover effect": Message("figures.estimand-spillover-effect"),
    "total effect of treatment and exposure": Message("figures.estimand-total-effect-of-treatment-and-exposure"),
    "LATE at the cutoff": Message("figures.estimand-late-at-the-cutoff"),
}

_ESTIMAND_NAMES = {
    "ATE at the cutoff": Message("figures.estimand-name-ate-at-the-cutoff"),
    "LATE at the cutoff": Message("figures.estimand-name-late-at-the-cutoff"),
    "total effect": Message("figures.estimand-name-total-effect"),
    POLICY_VALUE: Message("figures.estimand-name-policy-value"),
    "average derivative": Message("figures.estimand-name-average-derivative"),
    "slope between the dose's quartiles": Message("figures.estimand-name-slope-between-the-dose-quartiles"),
    "ATT of starting treatment": Message("figures.estimand-name-att-of-starting-treatment"),
    "direct effect": Message("figures.estimand-name-direct-effect"),
    "spillover effect": Message("figures.estimand-name-spillover-effect"),
    "total effect of treatment and exposure": Message("figures.estimand-name-total-effect-of-treatment-and-exposure"),
}
"""Estimands whose names are words, not abbreviations."""

NO_EFFECTS = ("density jump",)
"""Estimands of design tests."""

_LABELS = {
    "difference_in_means": Message("figures.estimator-difference-in-means"),
    "ols_adjustment": Message("figures.estimator-ols-adjustment"),
    "lin_interacted": Message("figures.estimator-lin-interacted"),
    "g_computation": Message("figures.estimator-g-computation"),
    "psm": Message("figures.estimator-psm"),
    "nn_mahalanobis": Message("figures.estimator-nn-mahalanobis"),
    "propensity_strata": Message("figures.estimator-propensity-strata"),
    "ipw": Message("figures.estimator-ipw"),
    "overlap_weights": Message("figures.estimator-overlap-weights"),
    "entropy_balancing": Message("figures.estimator-entropy-balancing"),
    "aipw": Message("figures.estimator-aipw"),
    "ipwra": Message("figures.estimator-ipwra"),
    "dml_plr": Message("figures.estimator-dml-plr"),
    "dml_irm": Message("figures.estimator-dml-irm"),
    "causal_forest": Message("figures.estimator-causal-forest"),
    "dml_plr_boosted": Message("figures.estimator-dml-plr-boosted"),
    "dml_irm_ate_boosted": Message("figures.estimator-dml-irm-boosted"),
    "dml_irm_att_boosted": Message("figures.estimator-dml-irm-boosted"),
    "s_learner": Message("figures.estimator-s-learner"),
    "t_learner": Message("figures.estimator-t-learner"),
    "x_learner": Message("figures.estimator-x-learner"),
    "dr_learner": Message("figures.estimator-dr-learner"),
    "dml_pliv": Message("figures.estimator-dml-pliv"),
    "iv_2sls": Message("figures.estimator-iv-2sls"),
    "iv_liml": Message("figures.estimator-iv-liml"),
    "iv_fuller": Message("figures.estimator-iv-fuller"),
    "iv_wald": Message("figures.estimator-iv-wald"),
    "dose_average_derivative": Message("figures.estimator-dose-average-derivative"),
    "dose_curve": Message("figures.estimator-dose-curve"),
    "mediation_acme": Message("figures.estimator-mediation-acme"),
    "mediation_ade": Message("figures.estimator-mediation-ade"),
    "mediation_total": Message("figures.estimator-mediation-total"),
    "exposure_direct": Message("figures.estimator-exposure-direct"),
    "exposure_spillover": Message("figures.estimator-exposure-spillover"),
    "exposure_total": Message("figures.estimator-exposure-total"),
    "spatial_ols": Message("figures.estimator-spatial-ols"),
    "panel_matching": Message("figures.estimator-panel-matching"),
    "did_2x2": Message("figures.estimator-did-2x2"),
    "did_2x2_block": Message("figures.estimator-did-2x2-block"),
    "twfe": Message("figures.estimator-twfe"),
    "rd_local_linear": Message("figures.estimator-rd-local-linear"),
    "rd_fuzzy": Message("figures.estimator-rd-fuzzy"),
    "rd_density_test": Message("figures.estimator-rd-density-test"),
    "did_callaway_santanna": Message("figures.estimator-did-callaway-santanna"),
    "interrupted_series": Message("figures.estimator-interrupted-series"),
    "interrupted_series_forecast": Message("figures.estimator-interrupted-series-forecast"),
    "synthetic_control": Message("figures.estimator-synthetic-control"),
    "synthetic_control_augmented": Message("figures.estimator-synthetic-control-augmented"),
    "synthetic_did": Message("figures.estimator-synthetic-did"),
    "ope_ips": Message("figures.estimator-ope-ips"),
    "ope_snips": Message("figures.estimator-ope-snips"),
    "ope_dm": Message("figures.estimator-ope-dm"),
    "ope_dr": Message("figures.estimator-ope-dr"),
    "transport_weighting": Message("figures.estimator-transport-weighting"),
    "transport_g_computation": Message("figures.estimator-transport-g-computation"),
    "transport_dr": Message("figures.estimator-transport-dr"),
    "proximal_2sls": Message("figures.estimator-proximal-2sls"),
    "did_imputation": Message("figures.estimator-did-imputation"),
}


def described(name: str) -> str:
    """Return the label of an estimator; its catalog name if it has no label.

    The estimand suffix is dropped, because figures group estimates by estimand.
    """
    if name in _LABELS:
        return _LABELS[name]
    bare = re.sub(r"_(ate|att|atc|ato|late)$", "", name)
    return _LABELS.get(bare, bare.replace("_", " "))


def estimand_name(estimand: str) -> str:
    """Return the name of an estimand as it is written in a sentence."""
    return _ESTIMAND_NAMES.get(estimand, estimand)
