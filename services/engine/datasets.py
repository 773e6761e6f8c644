"""Handlers of data sets: upload, listing, description, deletion and role inference."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from pydantic import JsonValue
from quart import Response

from cqox.contract import DatasetChange, InferRequest, ReadRequest, parse_model, read_fields, shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, PermissionMissing
from cqox.security import Permission
from cqox.storage import DatasetRecord
from services.engine.answers import json_answer, json_bytes, no_content
from services.engine.in_place import check_permissions, within_deadline
from services.engine.keys import attach_key, held_key
from services.engine.pages import query_of
from services.engine.state import State
from services.engine.tenancy import mine, owner_of
from services.http.contract.read_parameters import READ_PARAMETERS
from services.http.contract.registration import Handler
from services.http.request.bodies import read_json
from services.http.request.propagation import SECOND_HAND
from services.http.request.request import current_request
from services.http.request.uploads import receive_upload
from services.http.security.audited import note
from services.http.security.requester import principal_of

__all__ = ["created", "described", "handlers", "read_options"]

_READ_OPTIONS = tuple(parameter.name for parameter in READ_PARAMETERS)


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on data sets, by name."""

    async def upload_dataset() -> Response:
        settings, request = state.settings, current_request()
        # Check the disk before the file is received, and again meanwhile; the size limit is reported first.
        length = request.content_length or 0
        await mine(state).datasets.check_room(length if length <= settings.max_upload_bytes else 0)
        async with receive_upload(
            request,
            directory=mine(state).datasets.scratch,
            max_bytes=settings.max_upload_bytes,
            pace=settings.body_pace,
            check_room=mine(state).datasets.make_room,
            writer=mine(state).datasets.upload_writer,
        ) as upload:
            await held_key(state, request, [upload.digest, dict(upload.fields)])
            record = await mine(state).datasets.add(
                upload.path,
                name=upload.name,
                content_digest=upload.digest,
                size_bytes=upload.size_bytes,
                options=read_options(upload.fields),
                keep_original=True,
                owner=owner_of(request.scope),
            )
            attach_key(state, request, record.dataset_id)
        return created(record)

    async def list_datasets() -> Response:
        query_of("list_datasets")
        return json_answer({"datasets": [_summary(record) for record in await mine(state).datasets.all()]})

    async def read_dataset(dataset_id: str) -> Response:
        return json_bytes(described(await mine(state).datasets.get(dataset_id)))

    async def rename_dataset(dataset_id: str) -> Response:
        query_of("rename_dataset")
        settings = state.settings
        body = await read_json(current_request(), max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        name = parse_model(DatasetChange, body).name
        return json_bytes(described(await mine(state).datasets.rename(dataset_id, name)))

    async def delete_dataset(dataset_id: str) -> Response:
        erase = query_of("delete_dataset").get("erase")
        if erase not in (None, "reports"):
            raise InvalidRequest(
                Message("request.cannot-erase", given=shortened(erase)),
                field="erase",
                choices=["reports"],
            )
        await _check_owner(state, dataset_id)
        await mine(state).retention.delete_dataset(dataset_id, reports=erase == "reports")
        return no_content()

    async def list_sheets(dataset_id: str) -> Response:
        found = await mine(state).originals.sheets(dataset_id, query_of("list_sheets").get("sheet"))
        answer = json_answer(found)
        if not found["original"]:
            # An engine with a disk of its own may have it.
            answer.headers[SECOND_HAND] = "no original"
        return answer

    async def read_again(dataset_id: str) -> Response:
        settings, request = state.settings, current_request()
        body = await read_json(request, max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        parse_model(ReadRequest, body)
        options = read_fields(body)
        await held_key(state, request, [dataset_id, options], dataset_id=dataset_id)
        return created(await mine(state).originals.read(dataset_id, options, owner=owner_of(request.scope)))

    async def infer_roles() -> Response:
        settings = state.settings
        body = await read_json(current_request(), max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        asked = parse_model(InferRequest, body)
        request = current_request()
        note(request.scope, kind="dataset", identity=asked.dataset_id)
        if asked.source is None:
            return json_answer(await mine(state).datasets.infer(asked.dataset_id))
        # Every row is summed, and some are looked at: what an analysis may do.
        check_permissions(request.scope, asked.source, Permission.ANALYSES_WRITE)
        source, table, columns = asked.source, str(asked.table), mine(state).place_columns
        found = await within_deadline(
            request, settings.analysis_seconds, lambda seconds: columns.roles(source, table, seconds=seconds)
        )
        return json_answer(found)

    return {
        "upload_dataset": upload_dataset,
        "list_datasets": list_datasets,
        "read_dataset": read_dataset,
        "rename_dataset": rename_dataset,
        "delete_dataset": delete_dataset,
        "list_sheets": list_sheets,
        "read_again": read_again,
        "infer_roles": infer_roles,
    }


async def _check_owner(state: State, dataset_id: str) -> None:
    """Check that the caller may delete a data set: any with `datasets:delete`, otherwise its own.

    Raises:
        NotFound: there is no such data set.
        PermissionMissing: it is somebody else's, or has no owner.
    """
    scope, needed = current_request().scope, Permission.DATASETS_DELETE
    principal = principal_of(scope)
    if principal is None or needed in principal.permissions:
        return
    record = await mine(state).datasets.get(dataset_id)
    if record.owner is None or record.owner != owner_of(scope):
        raise PermissionMissing(Message("security.not-the-owner", permission=str(needed)), permission=str(needed))


def created(record: DatasetRecord) -> Response:
    """Return the response of a new or existing data set."""
    answer = json_bytes(described(record), HTTPStatus.CREATED)
    answer.headers["Location"] = f"/api/datasets/{record.dataset_id}"
    return answer


def read_options(fields: Mapping[str, str]) -> dict[str, JsonValue]:
    unknown = sorted(fields.keys() - set(_READ_OPTIONS))
    if unknown:
        raise InvalidRequest(
            Message("request.no-such-read-option", option=unknown[0]),
            field=unknown[0],
            choices=["name", *_READ_OPTIONS],
        )
    options: dict[str, JsonValue] = dict(fields)
    if "na" in fields:
        options["na"] = [token.strip() for token in fields["na"].split(",")]
    return options


def _summary(record: DatasetRecord) -> dict[str, object]:
    return {
        "dataset_id": record.dataset_id,
        "name": record.name,
        "rows": record.rows,
        "columns": record.columns,
        "size_bytes": record.size_bytes,
        "created_at": record.created_at,
        "sample": record.sample,
        "owner": record.owner,
    }


def described(record: DatasetRecord) -> bytes:
    # The stored description is JSON already; parsing and encoding thousands of columns would block the event loop.
    summary = {name: value for name, value in _summary(record).items() if name not in ("rows", "columns")}
    return json.dumps(summary, ensure_ascii=False).encode()[:-1] + b"," + record.description[1:]
