"""Uploads in pieces, over a pool that reads every file as the same table."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from cqox.analysis.uploads import CHUNK_BYTES, Uploads
from cqox.contract import dataset_id
from cqox.errors import InvalidRequest, NotFound, StorageFull, UploadConflict
from tests.analysis.test_original_files import CONTENT, Opened
from tests.analysis.test_original_files import opened as opened_originals

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(root: Path, *, originals_bytes: int = 1000) -> AsyncIterator[tuple[Uploads, Opened]]:
    async with opened_originals(root, originals_bytes=originals_bytes) as made:
        yield Uploads(files=made.files, datasets=made.datasets, originals=made.originals), made


async def sent(uploads: Uploads, content: bytes = CONTENT) -> str:
    state = await uploads.begin(name="a.csv", size_bytes=len(content), fingerprint=None)
    assert (state.offset, state.chunk_bytes) == (0, CHUNK_BYTES)
    for start in range(0, len(content), 3):
        async with uploads.piece(state.upload_id, start) as piece:
            await piece.write(content[start : start + 3])
            await piece.commit()
    return state.upload_id


async def test_a_complete_upload_is_the_data_set_of_the_whole_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as (uploads, made):
        upload_id = await sent(uploads)
        record = await uploads.add(upload_id, {"sheet": "2"})
        assert (record.name, record.size_bytes) == ("a.csv", len(CONTENT))
        assert await made.upload(sheet="2") == record
        assert (await uploads.find(upload_id)).dataset_id == record.dataset_id
        assert (await made.files.original(record.dataset_id))[1]
        assert not (tmp_path / "partial" / upload_id / "content").exists()
        assert list(made.datasets.scratch.iterdir()) == []


async def test_a_repetition_after_a_lost_answer_is_the_same_data_set(tmp_path: Path) -> None:
    async with opened(tmp_path) as (uploads, made):
        upload_id = await sent(uploads)
        record = await uploads.add(upload_id, {})
        assert await uploads.add(upload_id, {}) == record
        assert len(made.pool.tasks) == 1
        again = await uploads.add(upload_id, {"sheet": "2"})
        assert again.dataset_id == dataset_id(record.dataset_id, {"sheet": "2"})


async def test_an_upload_whose_file_is_no_longer_kept_must_be_sent_again(tmp_path: Path) -> None:
    async with opened(tmp_path, originals_bytes=0) as (uploads, made):
        upload_id = await sent(uploads)
        record = await uploads.add(upload_id, {})
        assert await uploads.add(upload_id, {}) == record
        with pytest.raises(NotFound) as refused:
            await uploads.add(upload_id, {"sheet": "2"})
        assert refused.value.field == "original"
        await made.datasets.delete(record.dataset_id)
        with pytest.raises(NotFound):
            await uploads.add(upload_id, {})


async def test_a_file_that_cannot_be_read_stays_for_other_options(tmp_path: Path) -> None:
    async with opened(tmp_path) as (uploads, made):
        upload_id = await sent(uploads)
        with pytest.raises(InvalidRequest):
            await uploads.add(upload_id, {"sheet": "no"})
        assert list(made.datasets.scratch.iterdir()) == []
        assert (await uploads.add(upload_id, {})).name == "a.csv"


async def test_an_incomplete_upload_is_refused_with_its_offset(tmp_path: Path) -> None:
    async with opened(tmp_path) as (uploads, _):
        state = await uploads.begin(name="a", size_bytes=10, fingerprint=None)
        with pytest.raises(UploadConflict) as refused:
            await uploads.add(state.upload_id, {})
        assert refused.value.offset == 0


async def test_a_cancelled_piece_leaves_nothing_and_releases_the_lock(tmp_path: Path) -> None:
    async with opened(tmp_path) as (uploads, _):
        state = await uploads.begin(name="a", size_bytes=10, fingerprint=None)
        with anyio.CancelScope() as scope:
            async with uploads.piece(state.upload_id, 0) as piece:
                await piece.write(b"abc")
                scope.cancel()
                await anyio.sleep_forever()
        assert (await uploads.find(state.upload_id)).offset == 0
        async with uploads.piece(state.upload_id, 0) as piece:
            await piece.write(b"xyz")
            await piece.commit()
        assert (await uploads.find(state.upload_id)).offset == 3


async def test_a_full_disk_refuses_a_piece_and_keeps_what_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as (uploads, made):
        state = await uploads.begin(name="a", size_bytes=10, fingerprint=None)
        async with uploads.piece(state.upload_id, 0) as piece:
            await piece.write(b"abc")
            await piece.commit()

        def refuse(wanted_bytes: int = 0) -> None:
            raise StorageFull("The disk is full.")

        monkeypatch.setattr(made.files.room, "make", refuse)
        with pytest.raises(StorageFull):
            async with uploads.piece(state.upload_id, 3) as piece:
                await piece.write(b"def")
        with pytest.raises(StorageFull):
            await uploads.begin(name="a", size_bytes=10, fingerprint=None)
        assert (await uploads.find(state.upload_id)).offset == 3


async def test_a_deleted_upload_leaves_its_data_set(tmp_path: Path) -> None:
    async with opened(tmp_path) as (uploads, made):
        upload_id = await sent(uploads)
        record = await uploads.add(upload_id, {})
        await uploads.delete(upload_id)
        with pytest.raises(NotFound):
            await uploads.find(upload_id)
        assert await made.datasets.get(record.dataset_id) == record
