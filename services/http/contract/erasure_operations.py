"""The operations on erasures and on retention."""

from http import HTTPStatus

from cqox.contract import ErasureDescription, ErasureRequest, RetentionChange, RetentionDescription
from cqox.security import Permission
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.contract.parameters import KEY
from services.http.security.audited import Audited
from services.http.statuses import UNAVAILABLE

__all__ = ["ERASURE_OPERATIONS"]

_TENANT = Parameter(name="tenant", where="query", meaning="Another tenant, with `tenants:manage`; one's own if absent.")

ERASURE_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="request_erasure",
        method="POST",
        path="/api/erasures",
        group="Audit and erasure",
        summary="Erase a data set or a tenant for good, with a receipt",
        needs=Permission.ERASURE_REQUEST,
        audited=Audited.STORED,
        description="A data set is erased with its files, its original, its reports, their figures, notes and share "
        "links, its jobs, uploads in pieces and idempotency keys, and from every cache; that also needs "
        "`datasets:delete`. A tenant is closed at once: its keys are deleted, everything that it has is erased, its "
        "encryption key is destroyed, and its requests are refused from then on. The audit log stays. An erasure that "
        "was begun ends also after a crash. The tenant `default` cannot be erased.",
        body=ErasureRequest,
        example={"tenant": "marketing"},
        parameters=(KEY,),
        answers=(Answer(status=HTTPStatus.ACCEPTED, meaning="It is recorded and running.", model=ErasureDescription),),
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
        name="read_erasure",
        method="GET",
        path="/api/erasures/{erasure_id}",
        group="Audit and erasure",
        summary="Read how far an erasure has come, and its receipt",
        needs=Permission.ERASURE_REQUEST,
        audited=Audited.QUEUED,
        parameters=(
            Parameter(name="erasure_id", where="path", meaning="The id from the 202 response."),
            Parameter(
                name="tenant", where="query", meaning="The tenant that requested it, with `tenants:manage`; one's own."
            ),
        ),
        answers=(Answer(meaning="The erasure.", model=ErasureDescription),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, *UNAVAILABLE),
    ),
    Operation(
        name="read_retention",
        method="GET",
        path="/api/retention",
        group="Audit and erasure",
        summary="Show how long a tenant keeps what it has",
        needs=Permission.ERASURE_REQUEST,
        audited=Audited.NEVER,
        parameters=(_TENANT,),
        answers=(Answer(meaning="The periods in days.", model=RetentionDescription),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, *UNAVAILABLE),
    ),
    Operation(
        name="put_retention",
        method="PUT",
        path="/api/retention",
        group="Audit and erasure",
        summary="Set how long a tenant keeps what it has",
        needs=Permission.ERASURE_REQUEST,
        audited=Audited.STORED,
        description="Reports, data sets and jobs that are older are deleted within the hour. A tenant may keep them "
        "for a shorter time than the operator, never for longer.",
        body=RetentionChange,
        example={"reports": 365, "datasets": 90},
        parameters=(_TENANT,),
        answers=(Answer(meaning="The periods as they are now.", model=RetentionDescription),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONTENT_TOO_LARGE,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
)
"""In the order of the documentation."""
