"""The operations on uploads in pieces."""

from http import HTTPStatus

from cqox.contract import DatasetDescription, ReadRequest, UploadRequest, UploadState
from cqox.security import Permission
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.contract.parameters import KEY
from services.http.request.digests import CONTENT_DIGEST
from services.http.request.upload_offset import PIECE_TYPE, UPLOAD_OFFSET
from services.http.security.audited import Audited
from services.http.statuses import UNAVAILABLE

__all__ = ["PIECE_TYPE", "UPLOAD_OFFSET", "UPLOAD_OPERATIONS"]

_GROUP = "Uploads in pieces"
_UPLOAD = Parameter(name="upload_id", where="path", meaning="The id from the response that began the upload.")

UPLOAD_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="begin_upload",
        method="POST",
        path="/api/uploads",
        group=_GROUP,
        summary="Begin an upload in pieces",
        needs=Permission.DATASETS_WRITE,
        audited=Audited.STORED,
        description="For files that are large, or connections that break: what is acknowledged outlives the connection "
        "and the engine. Send pieces of at most `chunk_bytes` with `PATCH`, then read the file with "
        "`POST /api/uploads/{upload_id}/dataset`. An upload is removed a day after its last piece.",
        body=UploadRequest,
        example={"name": "sales.csv", "size_bytes": 1_000_000},
        parameters=(KEY,),
        answers=(Answer(status=HTTPStatus.CREATED, meaning="The upload, at offset 0.", model=UploadState),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.CONTENT_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_CONTENT,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
    Operation(
        name="read_upload",
        method="GET",
        path="/api/uploads/{upload_id}",
        group=_GROUP,
        summary="Read the offset of an upload in pieces",
        needs=Permission.DATASETS_WRITE,
        audited=Audited.QUEUED,
        description="`HEAD` has it in the header `Upload-Offset` as well.",
        parameters=(_UPLOAD,),
        answers=(Answer(meaning="The upload as it is now.", model=UploadState),),
        problems=(HTTPStatus.NOT_FOUND, *UNAVAILABLE),
    ),
    Operation(
        name="append_piece",
        method="PATCH",
        path="/api/uploads/{upload_id}",
        group=_GROUP,
        summary="Send a piece of an upload",
        needs=Permission.DATASETS_WRITE,
        audited=Audited.QUEUED,
        description="The bytes of the file from `Upload-Offset` on. The response is sent once they are on the disk. At "
        "another offset than that of the upload, as after a lost response, it is 409 with the right one in "
        "`Upload-Offset` and `offset`; likewise while another request is writing. A piece that is interrupted counts "
        "for nothing.",
        body="piece",
        parameters=(
            _UPLOAD,
            Parameter(name=UPLOAD_OFFSET, where="header", kind="integer", meaning="Where the piece begins."),
            Parameter(name=CONTENT_DIGEST, where="header", meaning="SHA-256 of the piece (RFC 9530), to be checked."),
        ),
        answers=(Answer(meaning="The upload with its new offset.", model=UploadState),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.CONFLICT,
            HTTPStatus.CONTENT_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
    Operation(
        name="delete_upload",
        method="DELETE",
        path="/api/uploads/{upload_id}",
        group=_GROUP,
        summary="Abandon an upload in pieces",
        needs=Permission.DATASETS_WRITE,
        audited=Audited.STORED,
        description="A data set that was read from it stays.",
        parameters=(_UPLOAD,),
        answers=(Answer(status=HTTPStatus.NO_CONTENT, meaning="It is removed."),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, *UNAVAILABLE),
    ),
    Operation(
        name="read_uploaded",
        method="POST",
        path="/api/uploads/{upload_id}/dataset",
        group=_GROUP,
        summary="Read a complete upload as a data set",
        needs=Permission.DATASETS_WRITE,
        audited=Audited.STORED,
        description="The body has the read options. The result is that of `POST /api/datasets` with the same file and "
        "options, with the same id. While bytes are missing it is 409 with the offset. Where the file or an option has "
        "to be corrected, the upload stays and can be read with others.",
        body=ReadRequest,
        example={},
        parameters=(_UPLOAD, KEY),
        answers=(
            Answer(status=HTTPStatus.CREATED, meaning="The data set, new or existing.", model=DatasetDescription),
        ),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            HTTPStatus.CONTENT_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_CONTENT,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
)
"""In the order of the documentation."""
