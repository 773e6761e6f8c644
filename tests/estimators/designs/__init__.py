"""Simulated data whose effect is known, for every family; and the transformations that the laws speak of."""

from tests.estimators.designs._describing import EFFECT, names_for, row_keys
from tests.estimators.designs.changes import rows, with_covariates, with_treatment
from tests.estimators.designs.choice import design_for
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

__all__ = [
    "EFFECT",
    "connected",
    "cross_section",
    "design_for",
    "discontinuity",
    "dosed",
    "factor_panel",
    "instrumented",
    "logged",
    "mediated",
    "names_for",
    "panel",
    "placed",
    "proxied",
    "row_keys",
    "rows",
    "series",
    "switching",
    "two_periods",
    "two_populations",
    "with_covariates",
    "with_treatment",
]
