"""Handlers of uploads in pieces."""

import re
from contextlib import aclosing
from http import HTTPStatus

from quart import Response

from cqox.analysis.uploads import CHUNK_BYTES, PieceWriter
from cqox.contract import ReadRequest, UploadRequest, UploadState, parse_model, read_fields, shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from services.engine.answers import json_bytes, no_content
from services.engine.datasets import created
from services.engine.keys import attach_key, held_key
from services.engine.pages import query_of
from services.engine.state import State
from services.engine.tenancy import mine, owner_of
from services.http.contract.registration import Handler
from services.http.contract.upload_operations import PIECE_TYPE, UPLOAD_OFFSET
from services.http.request.bodies import OtherMediaType, chunks_of, read_json, too_large
from services.http.request.digests import verified
from services.http.request.request import IncomingRequest, current_request
from services.http.request.uploads import base_name

__all__ = ["handlers"]

_WRITE_BYTES = 2**20
_OFFSET = re.compile(r"[0-9]{1,18}", re.ASCII)


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on uploads in pieces, by name."""

    async def begin_upload() -> Response:
        settings, request = state.settings, current_request()
        body = await read_json(request, max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        asked = parse_model(UploadRequest, body)
        if asked.size_bytes > settings.max_upload_bytes:
            raise too_large("file", settings.max_upload_bytes)
        await held_key(state, request, body)
        begun = await mine(state).uploads.begin(
            name=base_name(asked.name), size_bytes=asked.size_bytes, fingerprint=asked.fingerprint
        )
        answer = _answer(begun, HTTPStatus.CREATED)
        answer.headers["Location"] = f"/api/uploads/{begun.upload_id}"
        return answer

    async def read_upload(upload_id: str) -> Response:
        return _answer(await mine(state).uploads.find(upload_id))

    async def append_piece(upload_id: str) -> Response:
        request, uploads = current_request(), mine(state).uploads
        query_of("append_piece")
        offset = _offset(request)
        if request.mimetype != PIECE_TYPE:
            given = ", ".join(request.headers.getlist("Content-Type"))
            raise OtherMediaType(Message("request.no-piece", given=shortened(given)), field="Content-Type")
        async with uploads.piece(upload_id, offset) as piece:
            await _receive(state, request, piece)
            await piece.commit()
        return _answer(await uploads.find(upload_id))

    async def delete_upload(upload_id: str) -> Response:
        query_of("delete_upload")
        await mine(state).uploads.delete(upload_id)
        return no_content()

    async def read_uploaded(upload_id: str) -> Response:
        settings, request = state.settings, current_request()
        body = await read_json(request, max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        parse_model(ReadRequest, body)
        options = read_fields(body)
        await held_key(state, request, [upload_id, options])
        record = await mine(state).uploads.add(upload_id, options, owner=owner_of(request.scope))
        attach_key(state, request, record.dataset_id)
        return created(record)

    return {
        "begin_upload": begin_upload,
        "read_upload": read_upload,
        "append_piece": append_piece,
        "delete_upload": delete_upload,
        "read_uploaded": read_uploaded,
    }


async def _receive(state: State, request: IncomingRequest, piece: PieceWriter) -> None:
    pending = bytearray()
    chunks = chunks_of(request, max_bytes=CHUNK_BYTES, pace=state.settings.body_pace, what="piece")
    async with aclosing(verified(request, chunks)) as checked:
        async for data in checked:
            pending += data
            if len(pending) >= _WRITE_BYTES:
                await piece.write(bytes(pending))
                pending.clear()
    await piece.write(bytes(pending))


def _offset(request: IncomingRequest) -> int:
    given = request.headers.getlist(UPLOAD_OFFSET)
    if len(given) != 1 or not _OFFSET.fullmatch(given[0]):
        detail = Message("request.no-upload-offset", given=shortened(", ".join(given)), header=UPLOAD_OFFSET)
        raise InvalidRequest(detail, field=UPLOAD_OFFSET)
    return int(given[0])


def _answer(upload: UploadState, status: HTTPStatus = HTTPStatus.OK) -> Response:
    answer = json_bytes(upload.model_dump_json().encode(), status)
    answer.headers[UPLOAD_OFFSET] = str(upload.offset)
    return answer
