"""Roles, requests and reports: the words that clients, gateway and engine share. Loads no numerics."""

from cqox.contract.bounds import MOST_COLUMNS, shortened
from cqox.contract.counts import counted
from cqox.contract.estimators import ESTIMATORS
from cqox.contract.options import EstimationOptions, Options
from cqox.contract.parsing import parse_model
from cqox.contract.report import (
    AnalysisListing,
    AnalysisSummary,
    Assumption,
    Catalog,
    ColumnDescription,
    DatasetDescription,
    DatasetListing,
    DatasetSummary,
    Decision,
    Effect,
    EstimateReport,
    EstimatorDescription,
    Gate,
    Identification,
    Inference,
    JobDescription,
    JobListing,
    JobSummary,
    Problem,
    Provenance,
    Report,
    RoleCandidate,
)
from cqox.contract.request import (
    AnalyzeRequest,
    Assignment,
    InferRequest,
    Mapped,
    RoleMapping,
)
from cqox.contract.roles import ALIASES, ROLES, Arity, Role, canonical_role
from cqox.contract.words import near_words

__all__ = [
    "ALIASES",
    "ESTIMATORS",
    "MOST_COLUMNS",
    "ROLES",
    "AnalysisListing",
    "AnalysisSummary",
    "AnalyzeRequest",
    "Arity",
    "Assignment",
    "Assumption",
    "Catalog",
    "ColumnDescription",
    "DatasetDescription",
    "DatasetListing",
    "DatasetSummary",
    "Decision",
    "Effect",
    "EstimateReport",
    "EstimationOptions",
    "EstimatorDescription",
    "Gate",
    "Identification",
    "InferRequest",
    "Inference",
    "JobDescription",
    "JobListing",
    "JobSummary",
    "Mapped",
    "Options",
    "Problem",
    "Provenance",
    "Report",
    "Role",
    "RoleCandidate",
    "RoleMapping",
    "canonical_role",
    "counted",
    "near_words",
    "parse_model",
    "shortened",
]
