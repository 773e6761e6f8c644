"""The names of all estimators: what `options.estimators` and `options.primary` may say.

Names only, so that a request that names none of them is refused before anything is accepted or loaded. What each of
them does is in the catalog of `cqox.estimators`, which a test holds to these names.
"""

import difflib
from collections.abc import Sequence

__all__ = ["ESTIMATORS", "near_estimators"]

ESTIMATORS = (
    "difference_in_means", "ols_adjustment", "lin_interacted", "g_computation_ate", "g_computation_att",
    "propensity_strata",
    "ipw_ate", "ipw_att", "overlap_weights", "entropy_balancing_ate", "entropy_balancing_att",
    "psm_ate", "psm_att", "nn_mahalanobis_ate", "nn_mahalanobis_att",
    "aipw", "ipwra",
    "dml_plr", "dml_irm_ate", "dml_irm_att",
    "s_learner", "t_learner", "x_learner", "dr_learner",
    "iv_2sls", "iv_liml", "iv_fuller", "iv_wald", "dml_pliv",
    "did_2x2", "did_2x2_block", "twfe",
    "did_callaway_santanna", "did_imputation",
    "rd_local_linear", "rd_fuzzy", "rd_density_test",
    "synthetic_control", "synthetic_control_augmented", "synthetic_did",
    "interrupted_series", "interrupted_series_forecast",
    "ope_ips", "ope_snips", "ope_dm", "ope_dr",
    "transport_dr", "transport_weighting", "transport_g_computation",
    "proximal_2sls",
    "mediation_acme", "mediation_ade", "mediation_total",
    "dose_average_derivative", "dose_curve",
    "panel_matching",
    "exposure_total", "exposure_direct", "exposure_spillover", "spatial_ols",
    "dml_plr_boosted", "dml_irm_ate_boosted", "dml_irm_att_boosted",
    "causal_forest",
)  # fmt: skip
"""Every name, by family; those that run only where they are named come last."""

_MOST_NEAR = 3


def near_estimators(word: str) -> Sequence[str]:
    """The few names that somebody who wrote `word` may have meant, the nearest first; none where none is near."""
    plain = word.strip().casefold().replace("-", "_").replace(" ", "_")
    holding = [name for name in ESTIMATORS if plain in name.split("_")]
    alike = difflib.get_close_matches(plain, ESTIMATORS, n=_MOST_NEAR, cutoff=0.5)
    return list(dict.fromkeys([*holding, *alike]))[:_MOST_NEAR]
