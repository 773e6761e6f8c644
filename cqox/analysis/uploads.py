"""Uploads in pieces: their bytes are collected on the disk and read like any other upload once they are complete."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from anyio import CancelScope
from pydantic import JsonValue

from cqox import randomness
from cqox.analysis.datasets import Datasets
from cqox.analysis.original_files import OriginalFiles
from cqox.contract import UploadState, dataset_id
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage import PARTIAL_SECONDS, DatasetRecord, PartialUpload, TenantFiles
from cqox.storage import PieceWriter as StoredPiece

__all__ = ["CHUNK_BYTES", "PieceWriter", "Uploads"]

CHUNK_BYTES = 8 * 2**20
"""The largest piece that is accepted."""


class PieceWriter:
    """The writer of one piece.

    Args:
        files: the store, which has the threads.
        piece: the open piece.
    """

    def __init__(self, files: TenantFiles, piece: StoredPiece) -> None:
        self._files = files
        self._piece = piece

    async def write(self, data: bytes) -> None:
        """Append bytes, which count from `commit` on.

        Raises:
            LimitExceeded: they are more than the file was said to have.
            StorageFull: the disk is full.
        """
        await self._files.threaded(self._write, data)

    def _write(self, data: bytes) -> None:
        self._files.room.make(len(data))
        self._piece.write(data)

    async def commit(self) -> None:
        """Acknowledge the piece once it is on the disk.

        Raises:
            NotFound: the upload was removed meanwhile.
        """
        await self._files.threaded(self._piece.commit)


class Uploads:
    """The uploads in pieces of one engine, or of several that share its data directory.

    Args:
        files: the store of their bytes.
        datasets: the registry of data sets.
        originals: the files that data sets were read from.
    """

    def __init__(self, *, files: TenantFiles, datasets: Datasets, originals: OriginalFiles) -> None:
        self._files = files
        self._partial = files.partial
        self._datasets = datasets
        self._originals = originals

    async def begin(self, *, name: str, size_bytes: int, fingerprint: str | None) -> UploadState:
        """Begin an upload.

        Raises:
            StorageFull: the disk has no space for the file.
            BulkheadFull: too many uploads are open.
        """
        await self._files.check_room(size_bytes)
        await self._files.threaded(self._files.prepare)
        create = self._partial.create
        return _state(
            await self._files.threaded(lambda: create(name=name, size_bytes=size_bytes, fingerprint=fingerprint))
        )

    async def find(self, upload_id: str) -> UploadState:
        """Return the state of an upload.

        Raises:
            NotFound: there is no such upload, or it has expired.
        """
        return _state(await self._files.threaded(self._partial.find, upload_id))

    @asynccontextmanager
    async def piece(self, upload_id: str, offset: int) -> AsyncIterator[PieceWriter]:
        """Yield the writer of the piece at an offset. A piece that is not committed leaves nothing.

        Raises:
            NotFound: there is no such upload.
            UploadConflict: it is at another offset, or another request is writing to it.
        """
        piece = await self._files.threaded(self._partial.open_piece, upload_id, offset)
        try:
            yield PieceWriter(self._files, piece)
        finally:
            with CancelScope(shield=True):
                await self._files.threaded(piece.close)

    async def add(self, upload_id: str, options: Mapping[str, JsonValue], *, owner: str | None = None) -> DatasetRecord:
        """Read a complete upload as a data set; repeated with the same options the result is the same.

        Args:
            upload_id: the upload.
            options: options of reading it, as an upload has them.
            owner: the subject that registers it.

        Raises:
            NotFound: there is no such upload, or its file is no longer kept.
            UploadConflict: bytes are missing.
            UnreadableFile, LimitExceeded, UnusableData, InvalidRequest: the file or an option is at fault; the upload
                stays.
        """
        upload = await self._files.threaded(self._partial.find, upload_id)
        if upload.digest is not None and upload.dataset_id is not None:
            return await self._again(upload.digest, upload.dataset_id, options, owner)
        view = self._files.scratch / f"partial-{randomness.token_hex(8)}"
        try:
            await self._files.threaded(self._partial.link, upload_id, view)
            digest = await self._files.digest(view)
            record = await self._datasets.add(
                view,
                name=upload.name,
                content_digest=digest,
                size_bytes=upload.size_bytes,
                options=options,
                keep_original=True,
                owner=owner,
            )
        finally:
            with CancelScope(shield=True):
                await self._files.threaded(lambda: view.unlink(missing_ok=True))
        # The data set exists; without this the bytes stay until the upload expires.
        with suppress(StoreUnavailable):
            finish = self._partial.finish
            await self._files.threaded(lambda: finish(upload_id, digest=digest, dataset_id=record.dataset_id))
        return record

    async def _again(
        self, digest: str, first: str, options: Mapping[str, JsonValue], owner: str | None
    ) -> DatasetRecord:
        with suppress(NotFound):
            return await self._datasets.get(dataset_id(digest, options))
        return await self._originals.read(first, options, owner=owner)

    async def delete(self, upload_id: str) -> None:
        """Remove an upload; a data set that was read from it stays.

        Raises:
            NotFound: there is no such upload.
        """
        await self._files.threaded(self._partial.delete, upload_id)


def _state(upload: PartialUpload) -> UploadState:
    expires_at = datetime.fromtimestamp(upload.used_at + PARTIAL_SECONDS, UTC)
    return UploadState(
        upload_id=upload.upload_id,
        name=upload.name,
        size_bytes=upload.size_bytes,
        offset=upload.offset,
        chunk_bytes=CHUNK_BYTES,
        expires_at=expires_at.isoformat(timespec="seconds"),
        fingerprint=upload.fingerprint,
        dataset_id=upload.dataset_id,
    )
