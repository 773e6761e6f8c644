"""Roles, requests and reports: the words that clients, gateway and engine share. Loads no numerics.

Each name is loaded from its module at first use, so that `cqox.contract.messages` costs a process no models.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cqox.contract.annotations import (
        MOST_NOTES,
        MOST_TITLE,
        AnnotationChange,
        AnnotationDescription,
        DatasetChange,
        DatasetLooks,
        QuestionLooks,
    )
    from cqox.contract.audit import AuditEntryDescription, AuditListing
    from cqox.contract.bounds import MOST_COLUMNS, shortened
    from cqox.contract.counts import counted
    from cqox.contract.dashboards import (
        DashboardDescription,
        DashboardListing,
        DashboardSummary,
        PanelData,
        PanelDescription,
        PanelLink,
        PanelRow,
        PanelSeries,
    )
    from cqox.contract.data_findings import DataFinding, Remedy
    from cqox.contract.erasures import (
        ErasureDescription,
        ErasureRequest,
        RetentionChange,
        RetentionDays,
        RetentionDescription,
    )
    from cqox.contract.estimators import ESTIMATORS
    from cqox.contract.export_formats import EXPORT_TYPES, ExportFormat
    from cqox.contract.file_sheets import FileSheets, SheetPreview
    from cqox.contract.findings import (
        FINDING_CODES,
        PERIOD_FORMATS,
        DropRows,
        PeriodFormat,
        RemedyOptions,
        ReshapingOptions,
        Unpivot,
    )
    from cqox.contract.health import Health
    from cqox.contract.identities import (
        KeyDescription,
        KeyListing,
        KeyRequest,
        NewKeyDescription,
        PrincipalDescription,
        TenantChange,
        TenantDescription,
    )
    from cqox.contract.identity import dataset_id, file_digest
    from cqox.contract.jobs import (
        EstimateEvent,
        JobDescription,
        JobListing,
        JobSummary,
    )
    from cqox.contract.options import EstimationOptions, Options
    from cqox.contract.parsing import parse_model
    from cqox.contract.preview import (
        DroppedRows,
        PlannedEstimator,
        Preview,
        PreviewedAmount,
        PreviewedArm,
        PreviewedContrast,
        PreviewedPower,
        PreviewedRows,
    )
    from cqox.contract.read_request import (
        ReadRequest,
        decode_option,
        read_fields,
    )
    from cqox.contract.reading_notes import reading_notes
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
        Definition,
        Definitions,
        Effect,
        EstimateReport,
        EstimatorDescription,
        Gate,
        Identification,
        Inference,
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
    from cqox.contract.roles import (
        ALIASES,
        ROLES,
        Arity,
        Role,
        canonical_role,
    )
    from cqox.contract.shares import (
        NewShareDescription,
        ShareDescription,
        ShareListing,
        ShareRequest,
    )
    from cqox.contract.sources import PlaceColumn, PlaceColumns, SampledRows, SourceListing, SourceSummary
    from cqox.contract.uploads import UploadRequest, UploadState
    from cqox.contract.words import near_words

__all__ = [
    "ALIASES",
    "ESTIMATORS",
    "EXPORT_TYPES",
    "FINDING_CODES",
    "MOST_COLUMNS",
    "MOST_NOTES",
    "MOST_TITLE",
    "PERIOD_FORMATS",
    "ROLES",
    "AnalysisListing",
    "AnalysisSummary",
    "AnalyzeRequest",
    "AnnotationChange",
    "AnnotationDescription",
    "Arity",
    "Assignment",
    "Assumption",
    "AuditEntryDescription",
    "AuditListing",
    "Catalog",
    "ColumnDescription",
    "DashboardDescription",
    "DashboardListing",
    "DashboardSummary",
    "DataFinding",
    "DatasetChange",
    "DatasetDescription",
    "DatasetListing",
    "DatasetLooks",
    "DatasetSummary",
    "Decision",
    "Definition",
    "Definitions",
    "DropRows",
    "DroppedRows",
    "Effect",
    "ErasureDescription",
    "ErasureRequest",
    "EstimateEvent",
    "EstimateReport",
    "EstimationOptions",
    "EstimatorDescription",
    "ExportFormat",
    "FileSheets",
    "Gate",
    "Health",
    "Identification",
    "InferRequest",
    "Inference",
    "JobDescription",
    "JobListing",
    "JobSummary",
    "KeyDescription",
    "KeyListing",
    "KeyRequest",
    "Mapped",
    "NewKeyDescription",
    "NewShareDescription",
    "Options",
    "PanelData",
    "PanelDescription",
    "PanelLink",
    "PanelRow",
    "PanelSeries",
    "PeriodFormat",
    "PlaceColumn",
    "PlaceColumns",
    "PlannedEstimator",
    "Preview",
    "PreviewedAmount",
    "PreviewedArm",
    "PreviewedContrast",
    "PreviewedPower",
    "PreviewedRows",
    "PrincipalDescription",
    "Problem",
    "Provenance",
    "QuestionLooks",
    "ReadRequest",
    "Remedy",
    "RemedyOptions",
    "Report",
    "ReshapingOptions",
    "RetentionChange",
    "RetentionDays",
    "RetentionDescription",
    "Role",
    "RoleCandidate",
    "RoleMapping",
    "SampledRows",
    "ShareDescription",
    "ShareListing",
    "ShareRequest",
    "SheetPreview",
    "SourceListing",
    "SourceSummary",
    "TenantChange",
    "TenantDescription",
    "Unpivot",
    "UploadRequest",
    "UploadState",
    "canonical_role",
    "counted",
    "dataset_id",
    "decode_option",
    "file_digest",
    "near_words",
    "parse_model",
    "read_fields",
    "reading_notes",
    "shortened",
]

_MODULES = {
    "annotations": (
        "MOST_NOTES",
        "MOST_TITLE",
        "AnnotationChange",
        "AnnotationDescription",
        "DatasetChange",
        "DatasetLooks",
        "QuestionLooks",
    ),
    "audit": ("AuditEntryDescription", "AuditListing"),
    "bounds": ("MOST_COLUMNS", "shortened"),
    "counts": ("counted",),
    "dashboards": (
        "DashboardDescription",
        "DashboardListing",
        "DashboardSummary",
        "PanelData",
        "PanelDescription",
        "PanelLink",
        "PanelRow",
        "PanelSeries",
    ),
    "data_findings": ("DataFinding", "Remedy"),
    "erasures": ("ErasureDescription", "ErasureRequest", "RetentionChange", "RetentionDays", "RetentionDescription"),
    "estimators": ("ESTIMATORS",),
    "export_formats": ("EXPORT_TYPES", "ExportFormat"),
    "file_sheets": ("FileSheets", "SheetPreview"),
    "findings": (
        "FINDING_CODES",
        "PERIOD_FORMATS",
        "DropRows",
        "PeriodFormat",
        "RemedyOptions",
        "ReshapingOptions",
        "Unpivot",
    ),
    "health": ("Health",),
    "identities": (
        "KeyDescription",
        "KeyListing",
        "KeyRequest",
        "NewKeyDescription",
        "PrincipalDescription",
        "TenantChange",
        "TenantDescription",
    ),
    "identity": ("dataset_id", "file_digest"),
    "jobs": ("EstimateEvent", "JobDescription", "JobListing", "JobSummary"),
    "options": ("EstimationOptions", "Options"),
    "parsing": ("parse_model",),
    "preview": (
        "DroppedRows",
        "PlannedEstimator",
        "Preview",
        "PreviewedAmount",
        "PreviewedArm",
        "PreviewedContrast",
        "PreviewedPower",
        "PreviewedRows",
    ),
    "read_request": ("ReadRequest", "decode_option", "read_fields"),
    "reading_notes": ("reading_notes",),
    "report": (
        "AnalysisListing",
        "AnalysisSummary",
        "Assumption",
        "Catalog",
        "ColumnDescription",
        "DatasetDescription",
        "DatasetListing",
        "DatasetSummary",
        "Decision",
        "Definition",
        "Definitions",
        "Effect",
        "EstimateReport",
        "EstimatorDescription",
        "Gate",
        "Identification",
        "Inference",
        "Problem",
        "Provenance",
        "Report",
        "RoleCandidate",
    ),
    "request": ("AnalyzeRequest", "Assignment", "InferRequest", "Mapped", "RoleMapping"),
    "roles": ("ALIASES", "ROLES", "Arity", "Role", "canonical_role"),
    "shares": ("NewShareDescription", "ShareDescription", "ShareListing", "ShareRequest"),
    "sources": ("PlaceColumn", "PlaceColumns", "SampledRows", "SourceListing", "SourceSummary"),
    "uploads": ("UploadRequest", "UploadState"),
    "words": ("near_words",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"{__name__}.{name}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
