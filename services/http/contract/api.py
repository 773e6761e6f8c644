"""The HTTP contract as one typed table: every path that gateway and engine answer, and the models that it speaks.

Routes are registered from it, `/openapi.json` is made from it, and the gateway's client is addressed by it, so that a
path or a model is written down once.
"""

from collections.abc import Awaitable, Callable, Mapping

from quart.typing import ResponseReturnValue

from cqox.contract import (
    AnalysisListing,
    AnalyzeRequest,
    Catalog,
    DatasetDescription,
    DatasetListing,
    Inference,
    InferRequest,
    JobDescription,
    JobListing,
    Report,
)
from services.http.contract.admin_models import PolicyChange, PolicyListing
from services.http.contract.health_models import Health, Liveness
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.server.app import App

__all__ = [
    "JOB_STATUSES",
    "OPERATIONS",
    "OWN_GROUPS",
    "Answer",
    "Handler",
    "Operation",
    "Parameter",
    "operation",
    "register",
]

type Handler = Callable[..., Awaitable[ResponseReturnValue]]
"""A coroutine function that takes the parameters of the path by name."""

_DATASET = Parameter(name="dataset_id", where="path", meaning="The id that the upload answered, or a sample's name.")
_ANALYSIS = Parameter(name="analysis_id", where="path", meaning="The id that the report names.")
_JOB = Parameter(name="job_id", where="path", meaning="The id that the 202 answered.")
_KEY = Parameter(
    name="Idempotency-Key",
    where="header",
    meaning="Stands for this request: sent again with the same body it is the same request, with another one refused.",
)
_PAGES = (
    Parameter(name="limit", where="query", kind="integer", meaning="How many at most, 1 to 200; 50 if absent."),
    Parameter(name="before", where="query", meaning="The `next` of the page before."),
)
JOB_STATUSES = ("running", "succeeded", "failed", "cancelled", "interrupted")
"""Where a job may stand."""
_UNAVAILABLE = (429, 503, 504)
_NO_ROOM = 507

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="analyze",
        method="POST",
        path="/api/analyze/comprehensive",
        group="Analyses",
        summary="Estimate the effect of a treatment",
        description="Runs every estimator that the data and the mapping can honestly support. An estimator that does "
        "not apply is `skipped` with the reason; one that fails is `failed` and the others stand. The same request on "
        "the same data answers the same report. With `Prefer: respond-async` the analysis runs in the background; with "
        "`Accept: text/event-stream` each step and each estimate comes as a Server-Sent Event, then the report.",
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
                meaning="Milliseconds that the client will wait; the analysis is ended then.",
            ),
            _KEY,
        ),
        answers=(
            Answer(meaning="The report.", model=Report, media=("application/json", "text/event-stream")),
            Answer(status=202, meaning="A job that is recorded and has begun.", model=JobDescription),
        ),
        problems=(400, 404, 413, 422, *_UNAVAILABLE, _NO_ROOM),
    ),
    Operation(
        name="list_analyses",
        method="GET",
        path="/api/analyses",
        group="Analyses",
        summary="List stored analyses, newest first",
        parameters=(
            Parameter(name="dataset_id", where="query", meaning="Only those of this data set."),
            *_PAGES,
        ),
        answers=(Answer(meaning="One page.", model=AnalysisListing),),
        problems=(400, *_UNAVAILABLE),
    ),
    Operation(
        name="read_analysis",
        method="GET",
        path="/api/analyses/{analysis_id}",
        group="Analyses",
        summary="Read a stored report",
        parameters=(_ANALYSIS,),
        answers=(Answer(meaning="The report.", model=Report),),
        problems=(404, *_UNAVAILABLE),
    ),
    Operation(
        name="delete_analysis",
        method="DELETE",
        path="/api/analyses/{analysis_id}",
        group="Analyses",
        summary="Delete a stored report",
        description="With its figures, and from every cache. The same request computes it again; a computation of it "
        "that runs at that moment goes on, and its report is stored.",
        parameters=(_ANALYSIS,),
        answers=(Answer(status=204, meaning="It is gone."),),
        problems=(400, 404, *_UNAVAILABLE, _NO_ROOM),
    ),
    Operation(
        name="read_figure",
        method="GET",
        path="/api/analyses/{analysis_id}/figures/{name}.{suffix}",
        group="Analyses",
        summary="Draw a figure of a report",
        parameters=(
            _ANALYSIS,
            Parameter(name="name", where="path", meaning="A name from `figures` of the report."),
            Parameter(name="suffix", where="path", choices=("svg", "png", "json"), meaning="`json` is Vega-Lite."),
        ),
        answers=(Answer(meaning="The figure.", media=("image/svg+xml", "image/png", "application/json")),),
        problems=(404, *_UNAVAILABLE),
    ),
    Operation(
        name="list_jobs",
        method="GET",
        path="/api/jobs",
        group="Jobs",
        summary="List analyses in the background, newest first",
        parameters=(
            Parameter(name="dataset_id", where="query", meaning="Only those on this data set."),
            Parameter(name="status", where="query", choices=JOB_STATUSES, meaning="Only those that stand so."),
            *_PAGES,
        ),
        answers=(Answer(meaning="One page.", model=JobListing),),
        problems=(400, *_UNAVAILABLE),
    ),
    Operation(
        name="read_job",
        method="GET",
        path="/api/jobs/{job_id}",
        group="Jobs",
        summary="Tell where an analysis in the background stands",
        parameters=(_JOB,),
        answers=(Answer(meaning="Its state.", model=JobDescription),),
        problems=(404, *_UNAVAILABLE),
    ),
    Operation(
        name="cancel_job",
        method="DELETE",
        path="/api/jobs/{job_id}",
        group="Jobs",
        summary="Cancel an analysis in the background, or delete its record",
        description="A job that runs is cancelled, and how it ended can be asked for. Of one that has ended the record "
        "is deleted, after which it is not known; its report stays.",
        parameters=(_JOB,),
        answers=(Answer(meaning="Its state, for the last time where it had ended before.", model=JobDescription),),
        problems=(400, 404, 409, *_UNAVAILABLE, _NO_ROOM),
    ),
    Operation(
        name="job_events",
        method="GET",
        path="/api/jobs/{job_id}/events",
        group="Jobs",
        summary="Follow an analysis in the background",
        description="Server-Sent Events from the first step on, or after `Last-Event-ID`: `step` for each step and "
        "each estimate, then one of `succeeded`, `failed`, `cancelled` and `interrupted`. Who leaves changes nothing.",
        parameters=(
            _JOB,
            Parameter(name="Last-Event-ID", where="header", kind="integer", meaning="The last event that was seen."),
        ),
        answers=(Answer(meaning="The events.", media=("text/event-stream",)),),
        problems=(400, 404, 409, *_UNAVAILABLE),
    ),
    Operation(
        name="upload_dataset",
        method="POST",
        path="/api/datasets",
        aliases=("/api/upload",),
        group="Data sets",
        summary="Upload a table",
        description="CSV, TSV, JSON lines, Parquet, Arrow, Feather or Excel, also as .gz, .bz2 or .zst; what it is is "
        "decided by its content. The field `file` of a form, or the raw body. The same bytes get the same id.",
        body="file",
        parameters=(
            Parameter(name="name", where="query", meaning="What to call the data set; the file's name if absent."),
            Parameter(name="encoding", where="query", meaning="Of text; found out if absent."),
            Parameter(name="delimiter", where="query", meaning="Between cells; found out if absent."),
            Parameter(name="decimal", where="query", meaning="The decimal sign, `.` or `,`."),
            Parameter(name="na", where="query", meaning="The words for a missing value, separated by commas."),
            Parameter(name="sheet", where="query", meaning="Of a workbook; the first if absent."),
            _KEY,
        ),
        answers=(Answer(status=201, meaning="The data set, new or known.", model=DatasetDescription),),
        problems=(400, 408, 413, 415, 422, *_UNAVAILABLE, _NO_ROOM),
    ),
    Operation(
        name="list_datasets",
        method="GET",
        path="/api/datasets",
        group="Data sets",
        summary="List data sets",
        answers=(Answer(meaning="Samples first, then newest first.", model=DatasetListing),),
        problems=(400, *_UNAVAILABLE),
    ),
    Operation(
        name="read_dataset",
        method="GET",
        path="/api/datasets/{dataset_id}",
        group="Data sets",
        summary="Describe a data set",
        parameters=(_DATASET,),
        answers=(Answer(meaning="Its columns, a preview and roles that columns may play.", model=DatasetDescription),),
        problems=(404, *_UNAVAILABLE),
    ),
    Operation(
        name="delete_dataset",
        method="DELETE",
        path="/api/datasets/{dataset_id}",
        group="Data sets",
        summary="Delete a data set",
        description="Its reports stay, unless `erase=reports` deletes them as well, with their figures and the jobs on "
        "the data set that have ended. Analyses that are reading it finish; with `erase=reports` what they store is "
        "deleted too.",
        parameters=(
            _DATASET,
            Parameter(name="erase", where="query", choices=("reports",), meaning="What else is deleted."),
        ),
        answers=(Answer(status=204, meaning="It is gone."),),
        problems=(400, 404, *_UNAVAILABLE, _NO_ROOM),
    ),
    Operation(
        name="infer_roles",
        method="POST",
        path="/api/roles/infer",
        group="Data sets",
        summary="Guess which column plays which role",
        description="The `mapping` of the answer can be sent to `/api/analyze/comprehensive` as it is.",
        body=InferRequest,
        example={"dataset_id": "test"},
        answers=(Answer(meaning="A mapping and, for each role, the candidates with reasons.", model=Inference),),
        problems=(400, 404, 413, *_UNAVAILABLE),
    ),
    Operation(
        name="list_estimators",
        method="GET",
        path="/api/estimators",
        group="Estimators",
        summary="List the estimators",
        answers=(Answer(meaning="What each estimates, needs and was checked against.", model=Catalog),),
        problems=_UNAVAILABLE,
    ),
    Operation(
        name="list_policies",
        method="GET",
        path="/api/admin/policies",
        group="Administration",
        summary="Show the state of every policy",
        description="Circuits, budgets and limits of the service that is asked. On its port the path exists only where "
        "`CQOX_ADMIN_TOKEN` is set, and only with that as a bearer token; `cqox admin` asks on a unix socket of the "
        "service's owner.",
        answers=(Answer(meaning="Policies by name.", model=PolicyListing),),
        problems=(404,),
    ),
    Operation(
        name="steer_policy",
        method="POST",
        path="/api/admin/policies",
        group="Administration",
        summary="Force a circuit, or change settings of a policy",
        description="An action forces the circuits of a policy until `reset`; settings change without losing state.",
        body=PolicyChange,
        example={"policy": "_call_engine_analyze", "action": "isolate"},
        answers=(Answer(meaning="Policies by name, as they are now.", model=PolicyListing),),
        problems=(400, 404, 413),
    ),
    Operation(
        name="health",
        method="GET",
        path="/api/health",
        group="Health",
        summary="Tell how the service is",
        answers=(Answer(meaning="The service answers; `degraded` names what does not.", model=Health),),
    ),
    Operation(
        name="live",
        method="GET",
        path="/health/live",
        group="Health",
        summary="Tell whether the process should be left alone",
        answers=(Answer(meaning="The process answers.", model=Liveness),),
    ),
    Operation(
        name="ready",
        method="GET",
        path="/health/ready",
        group="Health",
        summary="Tell whether to send requests here",
        description="503 only while the service starts or drains. A dependency that is down is named in `degraded`: "
        "one dead part does not take its callers out of rotation.",
        answers=(
            Answer(meaning="Send requests.", model=Health),
            Answer(status=503, meaning="It is starting or draining.", model=Health),
        ),
    ),
    Operation(
        name="metrics",
        method="GET",
        path="/metrics",
        group="Measures",
        summary="Show all measures, for Prometheus",
        answers=(Answer(meaning="One line for each series.", media=("text/plain", "application/openmetrics-text")),),
    ),
)
"""Every operation, in the order in which the documentation shows them."""

OWN_GROUPS = ("Health", "Measures", "Administration")
"""Groups whose operations each service answers for itself."""

_BY_NAME = {each.name: each for each in OPERATIONS}


def operation(name: str) -> Operation:
    """The operation of this name."""
    return _BY_NAME[name]


def register(app: App, handlers: Mapping[str, Handler]) -> None:
    """Give each operation its handler and the app its paths.

    Args:
        app: the app.
        handlers: a handler for every operation but those of `OWN_GROUPS`, by name.

    Raises:
        ValueError: an operation has no handler, or a handler no operation.
    """
    wanted = {each.name for each in OPERATIONS if each.group not in OWN_GROUPS}
    if wanted != handlers.keys():
        raise ValueError(f"operations and handlers differ in {', '.join(sorted(wanted ^ handlers.keys()))}")
    for name, handler in handlers.items():
        _add(app, operation(name), handler)


def _add(app: App, what: Operation, handler: Handler) -> None:
    for number, path in enumerate((what.path, *what.aliases)):
        endpoint = f"{what.name}-{number}" if number else what.name
        rule = path.replace("{", "<").replace("}", ">")
        app.add_url_rule(rule, endpoint, handler, methods=[what.method], provide_automatic_options=False)
