"""Handlers of uploads in pieces, over a stub of the uploads."""

import json
from contextlib import asynccontextmanager

import pytest

from cqox.analysis.idempotency import IdempotencyKeys
from cqox.analysis.uploads import CHUNK_BYTES
from cqox.contract import UploadState
from cqox.errors import NotFound, UploadConflict
from services.engine.uploads import handlers
from services.http.request.digests import content_digest
from tests.services.engine.handled import app_of, state_of
from tests.storage.bound import a_cache
from tests.storage.records import a_dataset

PIECE = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}


class Uploads:
    """One upload, `u`."""

    def __init__(self) -> None:
        self.content = b""
        self.options: list[dict[str, object]] = []

    def state(self, name: str = "a.csv") -> UploadState:
        return UploadState(
            upload_id="u", name=name, size_bytes=100, offset=len(self.content), chunk_bytes=CHUNK_BYTES,
            expires_at="2026-01-01T00:00:00+00:00",
        )  # fmt: skip

    async def begin(self, *, name: str, size_bytes: int, fingerprint: str | None) -> UploadState:
        return self.state(f"{name} {size_bytes} {fingerprint}")

    async def find(self, upload_id: str) -> UploadState:
        if upload_id != "u":
            raise NotFound("There is no such upload.")
        return self.state()

    @asynccontextmanager
    async def piece(self, upload_id: str, offset: int):
        if offset != len(self.content):
            raise UploadConflict("The upload is at another offset.", offset=len(self.content))
        written = []

        class Piece:
            async def write(_, data: bytes) -> None:
                written.append(data)

            async def commit(_) -> None:
                self.content += b"".join(written)

        yield Piece()

    async def add(self, upload_id: str, options, *, owner: str | None = None):
        self.options.append(dict(options))
        return a_dataset("0123")

    async def delete(self, upload_id: str) -> None:
        await self.find(upload_id)


@pytest.fixture
def state():
    return state_of(uploads=Uploads(), keys=IdempotencyKeys(a_cache()))


async def asked(state, method: str, path: str, **given: object):
    answer = await app_of(handlers(state)).test_client().open(path, method=method, **given)
    body = await answer.get_data()
    return answer, json.loads(body) if body else None


@pytest.mark.trio
async def test_an_upload_begins_with_a_clean_name_within_the_limit(state) -> None:
    given = {"name": "x/a\0.csv", "size_bytes": 100, "fingerprint": "f"}
    answer, body = await asked(state, "POST", "/api/uploads", json=given)
    assert (answer.status_code, answer.headers["Location"], body["name"]) == (201, "/api/uploads/u", "a.csv 100 f")
    for wrong, status in (({"size_bytes": 2**31}, 413), ({"size_bytes": 0}, 400), ({"size": 1}, 400)):
        answer, _ = await asked(state, "POST", "/api/uploads", json=given | wrong)
        assert answer.status_code == status


@pytest.mark.trio
async def test_a_piece_is_acknowledged_with_the_new_offset(state) -> None:
    answer, body = await asked(state, "PATCH", "/api/uploads/u", data=b"abc", headers=PIECE)
    assert (answer.status_code, answer.headers["Upload-Offset"], body["offset"]) == (200, "3", 3)
    answer, body = await asked(state, "GET", "/api/uploads/u")
    assert (answer.headers["Upload-Offset"], body["offset"]) == ("3", 3)
    answer, body = await asked(state, "PATCH", "/api/uploads/u", data=b"abc", headers=PIECE)
    assert (answer.status_code, answer.headers["Upload-Offset"], body["offset"]) == (409, "3", 3)
    assert state.analyses.uploads.content == b"abc"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("headers", "status", "field"),
    [
        ({"Upload-Offset": "x"}, 400, "Upload-Offset"),
        ({"Upload-Offset": "٣"}, 400, "Upload-Offset"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "Content-Type"),
        ({"Content-Digest": content_digest(b"abd")}, 400, None),
        ({"Content-Length": str(CHUNK_BYTES + 1)}, 413, None),
    ],
)
async def test_a_piece_that_does_not_fit_leaves_nothing(state, headers, status, field) -> None:
    answer, body = await asked(state, "PATCH", "/api/uploads/u", data=b"abc", headers=PIECE | headers)
    assert (answer.status_code, body.get("field")) == (status, field)
    assert state.analyses.uploads.content == b""


@pytest.mark.trio
async def test_an_upload_is_read_with_options_as_values_or_text(state) -> None:
    for options in ({"header_row": 4, "na": ["-"]}, {"header_row": "4", "na": "-"}):
        answer, body = await asked(state, "POST", "/api/uploads/u/dataset", json=options)
        assert (answer.status_code, answer.headers["Location"]) == (201, "/api/datasets/0123")
        assert body["dataset_id"] == "0123"
    assert state.analyses.uploads.options == [{"header_row": "4", "na": ["-"]}] * 2
    answer, body = await asked(state, "POST", "/api/uploads/u/dataset", json={"headers": 1})
    assert (answer.status_code, body["field"]) == (400, "headers")


@pytest.mark.trio
async def test_an_upload_is_deleted_once(state) -> None:
    answer, _ = await asked(state, "DELETE", "/api/uploads/u")
    assert answer.status_code == 204
    answer, _ = await asked(state, "DELETE", "/api/uploads/v")
    assert answer.status_code == 404
    answer, _ = await asked(state, "DELETE", "/api/uploads/u?erase=all")
    assert answer.status_code == 400
