"""The operations on share links, and those that their tokens open."""

from http import HTTPStatus

from cqox.contract import (
    AnnotationDescription,
    NewShareDescription,
    Report,
    ShareListing,
    ShareRequest,
)
from cqox.security import Permission
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.contract.parameters import (
    ANALYSIS,
    DOCUMENT,
    FIGURE,
    FIGURE_NAME,
    FIGURE_SUFFIX,
    IF_NONE_MATCH,
    KEY,
    SUFFIX,
    UNMODIFIED,
)
from services.http.security.audited import Audited
from services.http.statuses import UNAVAILABLE

__all__ = ["SHARE_OPERATIONS"]

_TOKEN = Parameter(name="Share-Token", where="header", meaning="The token of a share link; never in a URL.")
_OF_READING = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, *UNAVAILABLE)
_OF_DRAWING = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONTENT_TOO_LARGE, *UNAVAILABLE)
"""Of what a worker makes: it may need more memory than a worker has."""

_ONE_REPORT = (
    "For the holder of a share link, without a login: it opens this one report and nothing else. A token that is "
    "unknown, expired or withdrawn, or whose report is deleted, and any token while the operator allows no links, is a "
    "404."
)

SHARE_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="create_share",
        method="POST",
        path="/api/analyses/{analysis_id}/shares",
        group="Share links",
        summary="Create a link by which anybody can read a report",
        needs=Permission.ANALYSES_WRITE,
        audited=Audited.STORED,
        description="Only where the operator sets `CQOX_SHARE_LINKS=on`; otherwise the answer is 403. The token is in "
        "this response only. The same `Idempotency-Key` is the same link: a repeated request gives it a new token, and "
        "its old one opens nothing any more.",
        body=ShareRequest,
        example={"days": 7},
        parameters=(ANALYSIS, KEY),
        answers=(Answer(status=HTTPStatus.CREATED, meaning="The link with its token.", model=NewShareDescription),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONTENT_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_CONTENT,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
    Operation(
        name="list_shares",
        method="GET",
        path="/api/analyses/{analysis_id}/shares",
        group="Share links",
        summary="List the links to a report",
        needs=Permission.ANALYSES_READ,
        audited=Audited.QUEUED,
        parameters=(ANALYSIS,),
        answers=(Answer(meaning="Those that have not expired, without their tokens.", model=ShareListing),),
        problems=_OF_READING,
    ),
    Operation(
        name="delete_share",
        method="DELETE",
        path="/api/analyses/{analysis_id}/shares/{share_id}",
        group="Share links",
        summary="Withdraw a link to a report",
        needs=Permission.ANALYSES_WRITE,
        audited=Audited.STORED,
        parameters=(ANALYSIS, Parameter(name="share_id", where="path", meaning="The id from the listing.")),
        answers=(Answer(status=HTTPStatus.NO_CONTENT, meaning="Its token opens nothing any more."),),
        problems=(*_OF_READING, HTTPStatus.INSUFFICIENT_STORAGE),
    ),
    Operation(
        name="read_shared",
        method="GET",
        path="/api/shared",
        group="Share links",
        summary="Read a shared report",
        needs=None,
        audited=Audited.QUEUED,
        description=_ONE_REPORT,
        parameters=(_TOKEN, IF_NONE_MATCH),
        answers=(Answer(meaning="The report.", model=Report), UNMODIFIED),
        problems=_OF_READING,
    ),
    Operation(
        name="read_shared_annotation",
        method="GET",
        path="/api/shared/annotation",
        group="Share links",
        summary="Read title and notes of a shared report",
        needs=None,
        audited=Audited.QUEUED,
        parameters=(_TOKEN,),
        answers=(Answer(meaning="Title and notes, null where there are none.", model=AnnotationDescription),),
        problems=_OF_READING,
    ),
    Operation(
        name="read_shared_figure",
        method="GET",
        path="/api/shared/figures/{name}.{suffix}",
        group="Share links",
        summary="Draw a figure of a shared report",
        needs=None,
        audited=Audited.QUEUED,
        parameters=(FIGURE_NAME, FIGURE_SUFFIX, _TOKEN, IF_NONE_MATCH),
        answers=(FIGURE, UNMODIFIED),
        problems=_OF_DRAWING,
    ),
    Operation(
        name="export_shared",
        method="GET",
        path="/api/shared/export.{suffix}",
        group="Share links",
        summary="Write a shared report as a document",
        needs=None,
        audited=Audited.QUEUED,
        parameters=(SUFFIX, _TOKEN, IF_NONE_MATCH),
        answers=(DOCUMENT, UNMODIFIED),
        problems=_OF_DRAWING,
    ),
)
"""In the order of the documentation."""
