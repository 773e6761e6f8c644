"""Contract of the files of one tenant, independent of where they are kept; one test suite runs on every backend."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from cqox.storage.contracts import DatasetRecord
from cqox.storage.originals import Original
from cqox.storage.partial_upload import PartialUpload
from cqox.storage.readable import Readable
from cqox.storage.work_folders import WorkFolders

__all__ = ["PieceWriter", "TenantFiles", "UploadPieces"]


class PieceWriter(Protocol):
    """The writer of one piece of an upload; blocking."""

    def write(self, data: bytes) -> None:
        """Append bytes, which count from `commit` on.

        Raises:
            LimitExceeded: they are more than the file was said to have.
            OSError: the disk rejects them.
        """
        ...

    def commit(self) -> int:
        """Acknowledge what was written once it is durable; return the offset.

        Raises:
            NotFound: the upload was removed meanwhile.
            UploadConflict: another request has written this piece.
            OSError: the disk rejects it.
            StoreUnavailable: the object store does.
        """
        ...

    def close(self) -> None:
        """Drop what was not committed."""
        ...


class UploadPieces(Protocol):
    """Uploads of one tenant that arrive in pieces; blocking."""

    def create(self, *, name: str, size_bytes: int, fingerprint: str | None) -> PartialUpload:
        """Begin an upload.

        Raises:
            BulkheadFull: too many are open.
            OSError: the disk rejects it.
        """
        ...

    def find(self, upload_id: str) -> PartialUpload:
        """Return the state of an upload.

        Raises:
            NotFound: there is no such upload, or it has expired.
        """
        ...

    def open_piece(self, upload_id: str, offset: int) -> PieceWriter:
        """Open the upload for the piece that begins at an offset.

        Raises:
            NotFound: there is no such upload.
            UploadConflict: it is at another offset, or another request is writing to it.
        """
        ...

    def link(self, upload_id: str, view: Path) -> None:
        """Provide the content of a complete upload as `view`, a path that does not exist yet.

        Raises:
            NotFound: it is gone.
            UploadConflict: bytes are missing.
        """
        ...

    def finish(self, upload_id: str, *, digest: str, dataset_id: str) -> None:
        """Record the data set of an upload and remove its bytes, which the data set may keep."""
        ...

    def delete(self, upload_id: str) -> None:
        """Remove an upload.

        Raises:
            NotFound: there is no such upload.
        """
        ...

    def ids(self) -> Sequence[str]:
        """Return the ids of all uploads."""
        ...

    def remove_of(self, dataset_id: str, digests: Collection[str]) -> Sequence[str]:
        """Remove the uploads that a data set was read from; return their ids.

        Args:
            dataset_id: the data set.
            digests: of files that were uploaded.
        """
        ...

    def expire(self) -> int:
        """Remove uploads that have expired; return their number."""
        ...

    def count(self) -> int:
        """Return the number of uploads whose bytes are still kept here."""
        ...


class TenantFiles(WorkFolders, ABC):
    """The files of one tenant: data sets, their originals, rendered figures and uploads in pieces.

    Attributes:
        partial: the uploads that arrive in pieces.

    If the disk or the object store rejects a call, it raises `StoreUnavailable`.
    """

    partial: UploadPieces

    @abstractmethod
    async def keep(self, folder: Path, record: DatasetRecord, *, replace: bool = False) -> None:
        """Store the files of an incoming folder as those of a data set, which is complete or absent at any time.

        Args:
            folder: the incoming folder; removed by this call.
            record: the data set.
            replace: whether to replace existing files; otherwise those stay.
        """

    @abstractmethod
    async def has(self, dataset_id: str) -> bool:
        """Return whether the files of this data set exist."""

    @abstractmethod
    async def record(self, dataset_id: str) -> DatasetRecord | None:
        """Return the data set described by its manifest, for when the registry is unreachable; None without files."""

    @abstractmethod
    def reading(self, dataset_id: str) -> AbstractAsyncContextManager[Readable]:
        """Yield the table, readable until the block exits even if the data set is deleted meanwhile.

        Raises:
            NotFound: the files are missing, or do not match their digests; the latter are removed.
            StoreUnavailable: they are sealed, and their key is not there.
        """

    @abstractmethod
    async def keep_original(self, dataset_id: str, path: Path, original: Original) -> None:
        """Keep an uploaded file as the original of a data set where quota and space permit; never raises."""

    @abstractmethod
    async def original(self, dataset_id: str) -> tuple[Original | None, bool]:
        """Return what the upload of this data set was, None where that was not recorded, and whether it is kept."""

    @abstractmethod
    def reading_original(self, dataset_id: str, *, verify: bool) -> AbstractAsyncContextManager[tuple[Original, Path]]:
        """Yield the original of a data set and the path of its file, which may be sealed, until the block exits.

        Args:
            dataset_id: the data set.
            verify: whether to compare the digest of the file.

        Raises:
            NotFound: it is not kept, or was damaged and is removed.
        """

    @abstractmethod
    async def delete(self, dataset_id: str) -> None:
        """Remove the files of a data set; running readers are not affected."""

    @abstractmethod
    async def kept(self) -> Mapping[str, float]:
        """Return the ids of all data sets with files, and when those were created, in seconds of the Unix epoch."""

    @abstractmethod
    async def used_at(self, dataset_id: str) -> float:
        """Return when the data set was last uploaded or analysed, in seconds of the Unix epoch; 0 without files."""

    @abstractmethod
    async def use(self, dataset_id: str) -> None:
        """Record that the data set is used now; ignored if that cannot be written."""

    @abstractmethod
    async def rename(self, dataset_id: str, name: str) -> None:
        """Write the name of a data set to its manifest, for when the registry is lost; ignored if that is rejected."""

    @abstractmethod
    async def begin_erasure(self, dataset_id: str) -> None:
        """Mark the reports of the data set for deletion; ignored if the mark is rejected."""

    @abstractmethod
    async def erased(self) -> Mapping[str, float]:
        """Return the erased data sets that may still get reports, with the age of their marks in seconds."""

    @abstractmethod
    async def end_erasure(self, dataset_id: str) -> None:
        """Remove the mark: the data set was uploaded again, or no further report can appear."""

    @abstractmethod
    async def digests(self, dataset_id: str) -> Mapping[str, str]:
        """Return the digest of each file of a data set, by its name, with that of its original; empty without files."""

    @abstractmethod
    async def is_intact(self, dataset_id: str) -> bool:
        """Return whether every file of the data set has the digest of its manifest; reads all of them."""

    @abstractmethod
    async def drawn(self) -> Mapping[str, float]:
        """Return the ids of all analyses with a rendered figure, and when one was last rendered."""

    @abstractmethod
    async def erase(self, analysis_id: str) -> None:
        """Remove the rendered figures of an analysis; the next request renders them again."""

    @abstractmethod
    def figure(self, analysis_id: str, name: str, suffix: str) -> Path:
        """Return the path of the rendered figure, also before it is rendered."""

    @abstractmethod
    async def read_figure(self, path: Path) -> bytes | None:
        """Return a rendered figure by its path of `figure`, or None where there is none."""

    @abstractmethod
    async def write_figure(self, path: Path, content: bytes) -> None:
        """Write a rendered figure atomically; a reader never sees a part of it.

        Args:
            path: as `figure` returns it.
            content: its bytes.
        """

    @abstractmethod
    async def count_figures(self, analysis_id: str) -> int:
        """Return the number of rendered figures of an analysis."""
