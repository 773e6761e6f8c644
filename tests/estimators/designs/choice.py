"""The design to which an estimator applies."""

from cqox.estimators import Data, Estimator
from tests.estimators.designs.cross_sections import (
    cross_section,
    discontinuity,
    dosed,
    instrumented,
    logged,
    mediated,
    proxied,
    two_populations,
)
from tests.estimators.designs.neighbors import connected, placed
from tests.estimators.designs.panels import factor_panel, panel, series, switching, two_periods


def design_for(estimator: Estimator, seed: int = 5) -> Data:
    """Data to which an estimator applies."""
    if estimator.family == "transport":
        return two_populations(seed=seed)
    if estimator.family == "dose_response":
        return dosed(seed=seed)
    if estimator.family == "mediation":
        return mediated(seed=seed)
    if estimator.family == "proximal":
        return proxied(seed=seed)
    if estimator.family == "off_policy":
        return logged(seed=seed)
    if "running" in estimator.requires:
        return discontinuity(seed=seed, fuzzy="treatment" in estimator.requires)
    if estimator.name == "iv_wald":
        return instrumented(seed=seed, covariates=False)
    if "instrument" in estimator.requires:
        return instrumented(seed=seed, m=2)
    if estimator.family == "did_staggered":
        return panel(seed=seed, staggered=True)
    if estimator.family == "interrupted_series":
        return series(seed=seed, units=3)
    if estimator.family == "synthetic_control":
        return factor_panel(seed=seed)
    if estimator.family == "interference":
        return placed(seed=seed) if "latitude" in estimator.requires else connected(seed=seed, measured=True)
    if estimator.family == "panel_matching":
        return switching(seed=seed)
    if "unit_id" in estimator.requires:
        return panel(seed=seed)
    if "post" in estimator.requires:
        return two_periods(seed=seed)
    return cross_section(seed=seed, weights="weights" in estimator.optional)
