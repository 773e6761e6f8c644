"""Causal estimators on numeric arrays: one package per design family, a catalog, and the plan that they share."""

from cqox.estimators.catalog import applicable, catalog, entries, run
from cqox.estimators.checkpoint import abandonable, checkpoint
from cqox.estimators.data import Codes, Data, Matrix, Settings, Vector
from cqox.estimators.estimate import Estimate, Json, Status
from cqox.estimators.estimator import Estimator, Law
from cqox.estimators.nuisance.arm_regressions import ArmFits
from cqox.estimators.nuisance.propensity import Propensity
from cqox.estimators.plan import Plan
from cqox.estimators.sample import Sample

__all__ = [
    "ArmFits",
    "Codes",
    "Data",
    "Estimate",
    "Estimator",
    "Json",
    "Law",
    "Matrix",
    "Plan",
    "Propensity",
    "Sample",
    "Settings",
    "Status",
    "Vector",
    "abandonable",
    "applicable",
    "catalog",
    "checkpoint",
    "entries",
    "run",
]
