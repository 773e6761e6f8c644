"""The operations on what people list and write about stored analyses."""

from http import HTTPStatus

from cqox.contract import AnalysisListing, AnnotationChange, AnnotationDescription
from cqox.security import Permission
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.contract.parameters import ANALYSIS, PAGES
from services.http.security.audited import Audited
from services.http.statuses import UNAVAILABLE

__all__ = ["HISTORY_OPERATIONS"]

HISTORY_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="list_analyses",
        method="GET",
        path="/api/analyses",
        group="Analyses",
        summary="List stored analyses, newest first",
        needs=Permission.ANALYSES_READ,
        audited=Audited.QUEUED,
        parameters=(
            Parameter(name="dataset_id", where="query", meaning="Only those of this data set."),
            Parameter(
                name="search",
                where="query",
                meaning="Only those with this text in their title, their notes, or the name of their data set; case "
                "does not matter.",
            ),
            *PAGES,
        ),
        answers=(Answer(meaning="One page.", model=AnalysisListing),),
        problems=(HTTPStatus.BAD_REQUEST, *UNAVAILABLE),
    ),
    Operation(
        name="read_annotation",
        method="GET",
        path="/api/analyses/{analysis_id}/annotation",
        group="Analyses",
        summary="Read title and notes of a report",
        needs=Permission.ANALYSES_READ,
        audited=Audited.QUEUED,
        description="They are no part of the report, whose bytes and digest never change. `ETag` names their version.",
        parameters=(ANALYSIS,),
        answers=(Answer(meaning="Title and notes, null where there are none.", model=AnnotationDescription),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, *UNAVAILABLE),
    ),
    Operation(
        name="annotate_analysis",
        method="PATCH",
        path="/api/analyses/{analysis_id}/annotation",
        group="Analyses",
        summary="Change title or notes of a report",
        needs=Permission.ANALYSES_WRITE,
        audited=Audited.STORED,
        description="An absent member stays as it is, and null removes it. The last change wins, unless `If-Match` "
        "names the version that it is based on: then a change that somebody else has made meanwhile is not "
        "overwritten, and the answer is 412.",
        body=AnnotationChange,
        example={"title": "Spring campaign", "notes": "Asked by sales."},
        parameters=(
            ANALYSIS,
            Parameter(name="If-Match", where="header", meaning="`ETag` of the title and notes that were read."),
        ),
        answers=(Answer(meaning="Title and notes as they are now.", model=AnnotationDescription),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.PRECONDITION_FAILED,
            HTTPStatus.CONTENT_TOO_LARGE,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
)
"""In the order of the documentation."""
