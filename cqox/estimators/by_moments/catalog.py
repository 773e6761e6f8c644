"""The estimates that sums over the rows, or a few of their columns, can give, by their names in the catalog."""

from collections.abc import Callable, Mapping
from functools import partial

from cqox.estimators.by_moments import (
    balancing,
    blocks,
    discontinuity,
    double_ml,
    doubly_robust,
    instruments,
    learners,
    off_policy,
    regression,
    series,
    staggered,
    strata,
    transport,
    two_by_two,
    two_way,
    weighting,
)
from cqox.estimators.by_moments.rounds import Steps
from cqox.estimators.by_moments.tables import Tables

__all__ = ["BY_MOMENTS", "CROSS_FITTED", "OF_WHOLE_PANELS"]

BY_MOMENTS: Mapping[str, Callable[[Tables], Steps]] = {
    "difference_in_means": regression.difference_in_means,
    "ols_adjustment": regression.ols_adjustment,
    "lin_interacted": regression.lin_interacted,
    "g_computation_ate": partial(regression.g_computation, target="ATE"),
    "g_computation_att": partial(regression.g_computation, target="ATT"),
    "ipw_ate": partial(weighting.hajek, target="ATE"),
    "ipw_att": partial(weighting.hajek, target="ATT"),
    "overlap_weights": partial(weighting.hajek, target="ATO"),
    "propensity_strata": strata.propensity_strata,
    "entropy_balancing_ate": partial(balancing.entropy_balancing, target="ATE"),
    "entropy_balancing_att": partial(balancing.entropy_balancing, target="ATT"),
    "aipw": doubly_robust.aipw,
    "ipwra": doubly_robust.ipwra,
    "dml_plr": double_ml.partially_linear,
    "dml_irm_ate": partial(double_ml.interactive, target="ATE"),
    "dml_irm_att": partial(double_ml.interactive, target="ATT"),
    "dml_pliv": double_ml.instrumented,
    "s_learner": learners.single,
    "t_learner": partial(learners.learned, learner="t_learner"),
    "x_learner": partial(learners.learned, learner="x_learner"),
    "dr_learner": partial(learners.learned, learner="dr_learner"),
    "iv_2sls": partial(instruments.k_class, name="iv_2sls"),
    "iv_liml": partial(instruments.k_class, name="iv_liml"),
    "iv_fuller": partial(instruments.k_class, name="iv_fuller"),
    "iv_wald": partial(instruments.k_class, name="iv_wald"),
    "did_2x2": two_by_two.did_2x2,
    "twfe": two_way.twfe,
    "did_callaway_santanna": partial(staggered.staggered, name="did_callaway_santanna"),
    "did_imputation": partial(staggered.staggered, name="did_imputation"),
    "interrupted_series": series.interrupted_series,
    "rd_local_linear": discontinuity.sharp,
    "rd_fuzzy": discontinuity.fuzzy,
    "rd_density_test": discontinuity.density,
    "ope_ips": off_policy.inverse_propensity,
    "ope_snips": off_policy.self_normalised,
    "ope_dm": off_policy.direct,
    "ope_dr": off_policy.doubly_robust,
    "transport_weighting": partial(transport.transported, use="weights"),
    "transport_g_computation": partial(transport.transported, use="outcomes"),
    "transport_dr": partial(transport.transported, use="both"),
    "synthetic_control": partial(blocks.synthetic, name="synthetic_control"),
    "synthetic_control_augmented": partial(blocks.synthetic, name="synthetic_control_augmented"),
    "synthetic_did": partial(blocks.synthetic, name="synthetic_did"),
}

CROSS_FITTED = frozenset(
    {
        "dml_plr",
        "dml_irm_ate",
        "dml_irm_att",
        "dml_pliv",
        "s_learner",
        "t_learner",
        "x_learner",
        "dr_learner",
        "ope_dr",
    }
)
"""Those of them that need folds."""

OF_WHOLE_PANELS = frozenset(
    {
        "did_callaway_santanna",
        "did_imputation",
        "synthetic_control",
        "synthetic_control_augmented",
        "synthetic_did",
    }
)
"""Those of them that a sample of the rows says nothing of: whether they apply follows from all rows."""
