"""The HTTP contract as one typed table: every path of gateway and engine, with its models.

Routes, `/openapi.json` and the gateway's requests are derived from it, so that each path and model is defined once.
"""

from http import HTTPStatus

from cqox.contract import (
    AnalyzeRequest,
    Catalog,
    Definitions,
    Health,
    JobDescription,
    JobListing,
    Preview,
    Report,
)
from cqox.security import Permission
from services.http.contract.admin_models import PolicyChange, PolicyListing
from services.http.contract.audit_operations import AUDIT_OPERATIONS
from services.http.contract.dashboard_operations import DASHBOARD_OPERATIONS
from services.http.contract.dataset_operations import DATASET_OPERATIONS
from services.http.contract.erasure_operations import ERASURE_OPERATIONS
from services.http.contract.health_models import Liveness
from services.http.contract.history_operations import HISTORY_OPERATIONS
from services.http.contract.identity_operations import IDENTITY_OPERATIONS
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.contract.parameters import (
    ANALYSIS,
    DOCUMENT,
    FIGURE,
    FIGURE_NAME,
    FIGURE_SUFFIX,
    IF_NONE_MATCH,
    KEY,
    PAGES,
    SUFFIX,
    UNMODIFIED,
)
from services.http.contract.share_operations import SHARE_OPERATIONS
from services.http.contract.study_operations import STUDY_OPERATIONS
from services.http.contract.upload_operations import UPLOAD_OPERATIONS
from services.http.security.audited import Audited
from services.http.statuses import UNAVAILABLE

__all__ = [
    "JOB_STATUSES",
    "OPERATIONS",
    "OWN_GROUPS",
    "Answer",
    "Operation",
    "Parameter",
    "operation",
]

_JOB = Parameter(name="job_id", where="path", meaning="The id from the 202 response.")
JOB_STATUSES = ("running", "succeeded", "failed", "cancelled", "interrupted")
"""The states of a job."""

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="analyze",
        method="POST",
        path="/api/analyze/comprehensive",
        group="Analyses",
        summary="Estimate the effect of a treatment",
        needs=Permission.ANALYSES_WRITE,
        audited=Audited.QUEUED,
        description="Runs every estimator that the data and the mapping can support. An estimator that does not apply "
        "is `skipped` with the reason; one that fails is `failed`, and the others are kept. The same request on the "
        "same data returns the same report. With `Prefer: respond-async` the analysis runs in the background; with "
        "`Accept: text/event-stream` each step and each estimate is sent as a Server-Sent Event (`step`, `estimate`), "
        "then the report.",
        body=AnalyzeRequest,
        example={
            "dataset_id": "test",
            "mapping": {"y": "y", "treatment": "w", "unit_id": "id", "covariates": ["x1", "x2", "x3", "x4"]},
        },
        parameters=(
            Parameter(name="Prefer", where="header", meaning="`respond-async` for a job in the background."),
            Parameter(
                name="X-Request-Timeout-Ms",
                where="header",
                kind="integer",
                meaning="Milliseconds that the client waits; the analysis is cancelled after that.",
            ),
            KEY,
        ),
        answers=(
            Answer(meaning="The report.", model=Report, media=("application/json", "text/event-stream")),
            Answer(status=HTTPStatus.ACCEPTED, meaning="A job that is recorded and running.", model=JobDescription),
        ),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONTENT_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_CONTENT,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
    Operation(
        name="preview",
        method="POST",
        path="/api/analyze/preview",
        group="Analyses",
        summary="Show what an analysis would use and could find",
        needs=Permission.ANALYSES_WRITE,
        audited=Audited.QUEUED,
        description="Takes the body of `/api/analyze/comprehensive` and refuses what that refuses. Rows kept and "
        "dropped with the reasons, arms, the design in words, the estimators that run or are skipped, the smallest "
        "effect that could be detected, and the findings and notes of the report that are known before it estimates. "
        "Nothing is estimated, and nothing is stored. Of a table in place that is not read whole, the preview is of a "
        "sample of its rows, see `sample`; needs `sources:use` as well.",
        body=AnalyzeRequest,
        example={"dataset_id": "test", "mapping": {"y": "y", "treatment": "w", "covariates": ["x1", "x2"]}},
        answers=(Answer(meaning="The preview.", model=Preview),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONTENT_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_CONTENT,
            *UNAVAILABLE,
        ),
    ),
    *HISTORY_OPERATIONS,
    *STUDY_OPERATIONS,
    Operation(
        name="read_analysis",
        method="GET",
        path="/api/analyses/{analysis_id}",
        group="Analyses",
        summary="Read a stored report",
        needs=Permission.ANALYSES_READ,
        audited=Audited.QUEUED,
        parameters=(ANALYSIS, IF_NONE_MATCH),
        answers=(Answer(meaning="The report.", model=Report), UNMODIFIED),
        problems=(HTTPStatus.NOT_FOUND, *UNAVAILABLE),
    ),
    Operation(
        name="delete_analysis",
        method="DELETE",
        path="/api/analyses/{analysis_id}",
        group="Analyses",
        summary="Delete a stored report",
        needs=Permission.ANALYSES_WRITE,
        audited=Audited.STORED,
        description="With its figures, and from every cache. The same request computes it again; a computation that is "
        "running at that moment continues, and its report is stored.",
        parameters=(ANALYSIS,),
        answers=(Answer(status=HTTPStatus.NO_CONTENT, meaning="It is deleted."),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, *UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE),
    ),
    Operation(
        name="read_figure",
        method="GET",
        path="/api/analyses/{analysis_id}/figures/{name}.{suffix}",
        group="Analyses",
        summary="Draw a figure of a report",
        needs=Permission.ANALYSES_READ,
        audited=Audited.QUEUED,
        parameters=(
            ANALYSIS,
            FIGURE_NAME,
            FIGURE_SUFFIX,
            IF_NONE_MATCH,
        ),
        answers=(FIGURE, UNMODIFIED),
        problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONTENT_TOO_LARGE, *UNAVAILABLE),
    ),
    Operation(
        name="export_analysis",
        method="GET",
        path="/api/analyses/{analysis_id}/export.{suffix}",
        group="Analyses",
        summary="Write a report as a document",
        needs=Permission.ANALYSES_READ,
        audited=Audited.QUEUED,
        description="The same report gives the same bytes. The CSV is a table of the estimates.",
        parameters=(
            ANALYSIS,
            SUFFIX,
            IF_NONE_MATCH,
        ),
        answers=(DOCUMENT, UNMODIFIED),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONTENT_TOO_LARGE, *UNAVAILABLE),
    ),
    *SHARE_OPERATIONS,
    Operation(
        name="list_jobs",
        method="GET",
        path="/api/jobs",
        group="Jobs",
        summary="List analyses in the background, newest first",
        needs=Permission.JOBS_READ,
        audited=Audited.QUEUED,
        parameters=(
            Parameter(name="dataset_id", where="query", meaning="Only those on this data set."),
            Parameter(name="status", where="query", choices=JOB_STATUSES, meaning="Only jobs in this state."),
            *PAGES,
        ),
        answers=(Answer(meaning="One page.", model=JobListing),),
        problems=(HTTPStatus.BAD_REQUEST, *UNAVAILABLE),
    ),
    Operation(
        name="read_job",
        method="GET",
        path="/api/jobs/{job_id}",
        group="Jobs",
        summary="Read the state of an analysis in the background",
        needs=Permission.JOBS_READ,
        audited=Audited.QUEUED,
        parameters=(_JOB,),
        answers=(Answer(meaning="Its state.", model=JobDescription),),
        problems=(HTTPStatus.NOT_FOUND, *UNAVAILABLE),
    ),
    Operation(
        name="cancel_job",
        method="DELETE",
        path="/api/jobs/{job_id}",
        group="Jobs",
        summary="Cancel an analysis in the background, or delete its record",
        needs=Permission.JOBS_CANCEL,
        audited=Audited.STORED,
        description="A running job is cancelled, and its record stays. Of a finished job the record is deleted; its "
        "report stays.",
        parameters=(_JOB,),
        answers=(Answer(meaning="Its state, for the last time where its record is deleted.", model=JobDescription),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
    Operation(
        name="job_events",
        method="GET",
        path="/api/jobs/{job_id}/events",
        group="Jobs",
        summary="Follow an analysis in the background",
        needs=Permission.JOBS_READ,
        audited=Audited.QUEUED,
        description="Server-Sent Events from the first step on, or after `Last-Event-ID`: `step` for each step, "
        "`estimate` for each estimate as it is done (name, label, estimand, status, numbers, and how many are `done` "
        "of those `planned`), then one of `succeeded`, `failed`, `cancelled` and `interrupted`. A disconnect does not "
        "cancel the job.",
        parameters=(
            _JOB,
            Parameter(
                name="Last-Event-ID", where="header", kind="integer", meaning="The last event that was received."
            ),
        ),
        answers=(Answer(meaning="The events.", media=("text/event-stream",)),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *UNAVAILABLE),
    ),
    *DATASET_OPERATIONS,
    *UPLOAD_OPERATIONS,
    *IDENTITY_OPERATIONS,
    *AUDIT_OPERATIONS,
    *ERASURE_OPERATIONS,
    Operation(
        name="list_estimators",
        method="GET",
        path="/api/estimators",
        group="Estimators",
        summary="List the estimators",
        needs=Permission.API_USE,
        audited=Audited.NEVER,
        answers=(Answer(meaning="Estimand, requirements and validation of each.", model=Catalog),),
        problems=UNAVAILABLE,
    ),
    Operation(
        name="list_definitions",
        method="GET",
        path="/api/definitions",
        group="Estimators",
        summary="Define every verdict, gate and assumption",
        needs=Permission.API_USE,
        audited=Audited.NEVER,
        description="GO, CANARY and HOLD, the rule of each gate with its thresholds and source, each assumption of the "
        "ledger and the designs in which it may be declared.",
        answers=(Answer(meaning="Definitions in the order of a report.", model=Definitions),),
        problems=UNAVAILABLE,
    ),
    Operation(
        name="list_policies",
        method="GET",
        path="/api/admin/policies",
        group="Administration",
        summary="Show the state of every policy",
        needs=Permission.POLICIES_STEER,
        audited=Audited.NEVER,
        description="Circuits, budgets and limits of this service. On its port the path exists only where "
        "`CQOX_ADMIN_TOKEN` is set, and only with that as a bearer token; `cqox admin` uses a unix socket of the "
        "service's owner.",
        answers=(Answer(meaning="Policies by name.", model=PolicyListing),),
        problems=(HTTPStatus.NOT_FOUND,),
    ),
    Operation(
        name="steer_policy",
        method="POST",
        path="/api/admin/policies",
        group="Administration",
        summary="Force a circuit, or change the settings of a policy",
        needs=Permission.POLICIES_STEER,
        audited=Audited.QUEUED,
        description="An action forces the circuits of a policy until `reset`; settings change without losing state.",
        body=PolicyChange,
        example={"policy": "_call_engine_analyze", "action": "isolate"},
        answers=(Answer(meaning="Policies by name, as they are now.", model=PolicyListing),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONTENT_TOO_LARGE),
    ),
    Operation(
        name="health",
        method="GET",
        path="/api/health",
        group="Health",
        summary="Show the health of the service",
        needs=None,
        audited=Audited.NEVER,
        answers=(Answer(meaning="The service answers; `degraded` names unavailable dependencies.", model=Health),),
    ),
    Operation(
        name="live",
        method="GET",
        path="/health/live",
        group="Health",
        summary="Check that the process is alive",
        needs=None,
        audited=Audited.NEVER,
        answers=(Answer(meaning="The process answers.", model=Liveness),),
    ),
    Operation(
        name="ready",
        method="GET",
        path="/health/ready",
        group="Health",
        summary="Check that the service accepts requests",
        needs=None,
        audited=Audited.NEVER,
        description="503 only while the service starts or drains. An unavailable dependency is named in `degraded` and "
        "does not make the service unready.",
        answers=(
            Answer(meaning="It accepts requests.", model=Health),
            Answer(status=HTTPStatus.SERVICE_UNAVAILABLE, meaning="It is starting or draining.", model=Health),
        ),
    ),
    Operation(
        name="metrics",
        method="GET",
        path="/metrics",
        group="Measures",
        summary="Show all metrics, for Prometheus",
        needs=Permission.OPERATIONS_READ,
        audited=Audited.NEVER,
        answers=(
            Answer(meaning="One line for each time series.", media=("text/plain", "application/openmetrics-text")),
        ),
    ),
    *DASHBOARD_OPERATIONS,
)
"""Every operation, in the order of the documentation."""

OWN_GROUPS = ("Health", "Measures", "Administration")
"""Groups whose operations each service handles itself."""

_BY_NAME = {each.name: each for each in OPERATIONS}


def operation(name: str) -> Operation:
    """Return the operation with this name."""
    return _BY_NAME[name]
