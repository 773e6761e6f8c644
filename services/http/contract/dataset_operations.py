"""The operations on data sets and data sources."""

from http import HTTPStatus

from cqox.contract import (
    DatasetChange,
    DatasetDescription,
    DatasetListing,
    DatasetLooks,
    FileSheets,
    Inference,
    InferRequest,
    PlaceColumns,
    ReadRequest,
    SourceListing,
)
from cqox.security import Permission
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.contract.parameters import KEY
from services.http.contract.read_parameters import READ_PARAMETERS
from services.http.security.audited import Audited
from services.http.statuses import UNAVAILABLE

__all__ = ["DATASET_OPERATIONS"]

_DATASET = Parameter(name="dataset_id", where="path", meaning="The id from the upload's response, or a sample's name.")

DATASET_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="upload_dataset",
        method="POST",
        path="/api/datasets",
        aliases=("/api/upload",),
        group="Data sets",
        summary="Upload a table",
        needs=Permission.DATASETS_WRITE,
        audited=Audited.STORED,
        description="CSV, TSV, JSON lines, Parquet, Arrow, Feather or Excel, also as .gz, .bz2 or .zst; the format is "
        "detected from the content. The field `file` of a form, or the raw body. The same bytes get the same id. "
        "`findings` names traps in the data; a remedy at `upload` is sent to `/api/datasets/{dataset_id}/read`, or as "
        "further fields of the form, or query parameters, with the file once more.",
        body="file",
        parameters=(
            Parameter(name="name", where="query", meaning="Name of the data set; the file's name if absent."),
            *READ_PARAMETERS,
            KEY,
        ),
        answers=(
            Answer(status=HTTPStatus.CREATED, meaning="The data set, new or existing.", model=DatasetDescription),
        ),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.CONTENT_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_CONTENT,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
    Operation(
        name="list_datasets",
        method="GET",
        path="/api/datasets",
        group="Data sets",
        summary="List data sets",
        needs=Permission.DATASETS_READ,
        audited=Audited.QUEUED,
        answers=(Answer(meaning="Samples first, then newest first.", model=DatasetListing),),
        problems=(HTTPStatus.BAD_REQUEST, *UNAVAILABLE),
    ),
    Operation(
        name="read_dataset",
        method="GET",
        path="/api/datasets/{dataset_id}",
        group="Data sets",
        summary="Describe a data set",
        needs=Permission.DATASETS_READ,
        audited=Audited.QUEUED,
        parameters=(_DATASET,),
        answers=(
            Answer(meaning="Its columns, a preview and candidate roles of the columns.", model=DatasetDescription),
        ),
        problems=(HTTPStatus.NOT_FOUND, *UNAVAILABLE),
    ),
    Operation(
        name="count_looks",
        method="GET",
        path="/api/datasets/{dataset_id}/looks",
        group="Data sets",
        summary="Count the analyses of a data set",
        needs=Permission.DATASETS_READ,
        audited=Audited.QUEUED,
        description="Every look at the same data, with other covariates, options or outcomes, is another chance to "
        "find what is not there: of 20 analyses without any effect, one is significant at 5% on average "
        "(multiplicity). The count belongs next to the answer that is chosen. Equal requests are one analysis; deleted "
        "reports are not counted.",
        parameters=(_DATASET,),
        answers=(Answer(meaning="The number of stored analyses, in all and by question.", model=DatasetLooks),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, *UNAVAILABLE),
    ),
    Operation(
        name="rename_dataset",
        method="PATCH",
        path="/api/datasets/{dataset_id}",
        group="Data sets",
        summary="Rename a data set",
        needs=Permission.DATASETS_WRITE,
        audited=Audited.STORED,
        description="Its id stays, and so do its reports. A built-in data set keeps its name.",
        body=DatasetChange,
        example={"name": "Spring campaign"},
        parameters=(_DATASET,),
        answers=(Answer(meaning="The data set with its new name.", model=DatasetDescription),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONTENT_TOO_LARGE,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
    Operation(
        name="delete_dataset",
        method="DELETE",
        path="/api/datasets/{dataset_id}",
        group="Data sets",
        summary="Delete a data set",
        needs=Permission.DATASETS_WRITE,
        audited=Audited.STORED,
        description="One's own, or any with `datasets:delete`. Its reports stay, unless `erase=reports` deletes them "
        "as well, with their figures and the jobs on the data set that have ended. Analyses that read it finish; "
        "with `erase=reports` what they store is deleted too. `POST /api/erasures` does the same with a receipt.",
        parameters=(
            _DATASET,
            Parameter(name="erase", where="query", choices=("reports",), meaning="What else is deleted."),
        ),
        answers=(Answer(status=HTTPStatus.NO_CONTENT, meaning="It is deleted."),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, *UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE),
    ),
    Operation(
        name="list_sheets",
        method="GET",
        path="/api/datasets/{dataset_id}/sheets",
        group="Data sets",
        summary="Show the uploaded file of a data set as it is",
        needs=Permission.DATASETS_READ,
        audited=Audited.QUEUED,
        description="The sheets of a workbook, or the lines of a text, with the first rows and the row that looks like "
        "the header, to choose `sheet` and `header_row` for `/read` from.",
        parameters=(
            _DATASET,
            Parameter(name="sheet", where="query", meaning="Only this sheet, by name or by position from 0."),
        ),
        answers=(Answer(meaning="The file, as far as it is kept.", model=FileSheets),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONTENT_TOO_LARGE,
            *UNAVAILABLE,
        ),
    ),
    Operation(
        name="read_again",
        method="POST",
        path="/api/datasets/{dataset_id}/read",
        group="Data sets",
        summary="Read the uploaded file of a data set with other options",
        needs=Permission.DATASETS_WRITE,
        audited=Audited.STORED,
        description="The result is that of an upload of the same file with these options, with the same id. The file "
        "is kept as far as `CQOX_ORIGINALS_BYTES` permits; where it is not, the response is 404 with the field "
        "`original`, and the file has to be uploaded again.",
        body=ReadRequest,
        example={"header_row": 4},
        parameters=(_DATASET, KEY),
        answers=(
            Answer(status=HTTPStatus.CREATED, meaning="The data set, new or existing.", model=DatasetDescription),
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
        name="list_sources",
        method="GET",
        path="/api/sources",
        group="Data sets",
        summary="List the data sources of the operator",
        needs=Permission.SOURCES_USE,
        audited=Audited.NEVER,
        answers=(Answer(meaning="Their names; addresses and queries are not shown.", model=SourceListing),),
        problems=(HTTPStatus.BAD_REQUEST, *UNAVAILABLE),
    ),
    Operation(
        name="list_columns",
        method="GET",
        path="/api/sources/{name}/columns",
        group="Data sets",
        summary="List the columns of a table in place",
        needs=Permission.SOURCES_USE,
        audited=Audited.QUEUED,
        description="Names and kinds; no row is read, and no value or count is shown.",
        parameters=(
            Parameter(name="name", where="path", meaning="A name from `/api/sources`."),
            Parameter(name="table", where="query", meaning="One of the tables of the source."),
        ),
        answers=(Answer(meaning="The columns.", model=PlaceColumns),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.UNPROCESSABLE_CONTENT,
            *UNAVAILABLE,
        ),
    ),
    Operation(
        name="read_source",
        method="POST",
        path="/api/sources/{name}/datasets",
        group="Data sets",
        summary="Read a data source as a data set",
        needs=Permission.SOURCES_USE,
        audited=Audited.STORED,
        description="Fetches what the source holds now. The same bytes get the same id.",
        parameters=(Parameter(name="name", where="path", meaning="A name from `/api/sources`."),),
        answers=(
            Answer(status=HTTPStatus.CREATED, meaning="The data set, new or existing.", model=DatasetDescription),
        ),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONTENT_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_CONTENT,
            HTTPStatus.FAILED_DEPENDENCY,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
    Operation(
        name="infer_roles",
        method="POST",
        path="/api/roles/infer",
        group="Data sets",
        summary="Infer the roles of the columns",
        needs=Permission.DATASETS_READ,
        audited=Audited.QUEUED,
        description="The `mapping` of the response can be sent to `/api/analyze/comprehensive` unchanged. Of a table "
        "in place all rows are summed, and a sample of them is looked at, see `sample`; needs `sources:use` and "
        "`analyses:write` as well. `X-Request-Timeout-Ms` says how long the client waits.",
        body=InferRequest,
        example={"dataset_id": "test"},
        answers=(Answer(meaning="A mapping and, for each role, the candidates with reasons.", model=Inference),),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONTENT_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_CONTENT,
            *UNAVAILABLE,
        ),
    ),
)
"""In the order of the documentation."""
