"""Uploads that arrive in pieces, on the disk; blocking.

    partial/<upload id>/about.json    name, size, fingerprint and time of creation
    partial/<upload id>/content       the bytes; those beyond the offset are not acknowledged
    partial/<upload id>/offset        how many bytes are acknowledged; its time is that of the last piece. Where the
                                      content is sealed also how long that is, and of how many frames
    partial/<upload id>/dataset.json  digest and data set, once all of it was read; the content is removed then

A piece is acknowledged once it is on the disk, so that it outlives a kill of the engine and a power failure; what else
lies in the content is cut off before the next piece. One writer at a time holds a lock of the kernel on the content,
across all engines on the volume, which ends with its process.
"""

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cqox import clock, randomness
from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import BulkheadFull, UploadConflict
from cqox.storage.file_operations import link_or_copy, remove, sync, sync_handle
from cqox.storage.partial_upload import (
    AGAIN_SECONDS,
    LEFT_SECONDS,
    MOST_OPEN,
    PARTIAL_SECONDS,
    UPLOAD_ID,
    PartialUpload,
    check_complete,
    check_offset,
    check_size,
    unknown,
)
from cqox.storage.private import private_folder, private_opener
from cqox.storage.sealed_content import SealedContent, write_all
from cqox.storage.sealing import TenantSealing

__all__ = ["PartialUploads", "Piece"]

_OFFSET_CHARACTERS = 20


class Piece:
    """The writer of one piece, which holds the lock of its upload until `close`."""

    def __init__(self, folder: Path, content: int, upload: PartialUpload, sealed: SealedContent | None = None) -> None:
        self._folder = folder
        self._content = content
        self._upload = upload
        self._end = upload.offset
        self._sealed = sealed

    def write(self, data: bytes) -> None:
        """Append bytes, which count from `commit` on.

        Raises:
            LimitExceeded: they are more than the file was said to have.
            OSError: the disk rejects them.
        """
        check_size(self._upload, self._end + len(data))
        if self._sealed is None:
            write_all(self._content, data, self._end)
        else:
            self._sealed.append(data)
        self._end += len(data)

    def commit(self) -> int:
        """Acknowledge what was written: flush it to the disk, then the new offset; return the offset.

        Raises:
            NotFound: the upload was removed meanwhile.
            OSError: the disk rejects it.
        """
        sealed = self._sealed
        if sealed is not None and self._end == self._upload.size_bytes:
            sealed.close()
        sync_handle(self._content)
        try:
            _write_offset(self._folder / "offset", _offset_text(self._end, sealed), create=False)
        except FileNotFoundError:
            raise unknown(self._upload.upload_id) from None
        return self._end

    def close(self) -> None:
        """Release the lock; bytes without `commit` are cut off by the next piece."""
        if self._content >= 0:
            os.close(self._content)
            self._content = -1


class PartialUploads:
    """The uploads in pieces of one volume.

    Args:
        root: their folder, created with the first one.
        sealing: encryption at rest; none by default.
    """

    def __init__(self, root: Path, sealing: TenantSealing | None = None) -> None:
        self._root = root
        self._sealing = sealing or TenantSealing()

    def create(self, *, name: str, size_bytes: int, fingerprint: str | None) -> PartialUpload:
        """Begin an upload.

        Raises:
            BulkheadFull: too many are open.
            OSError: the disk rejects it.
        """
        self._limit()
        upload_id = randomness.token_hex(16)
        scratch = self._root / f".{upload_id}"
        private_folder(self._root, exist_ok=True)
        private_folder(scratch)
        about = {"name": name, "size_bytes": size_bytes, "fingerprint": fingerprint}
        self._write_about(scratch, upload_id, about)
        content = private_opener(str(scratch / "content"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        try:
            sealed = SealedContent.begun(content, self._sealing) if self._sealing.is_on else None
            sync_handle(content)
        finally:
            os.close(content)
        _write_offset(scratch / "offset", _offset_text(0, sealed), create=True)
        sync(scratch)
        scratch.rename(self._root / upload_id)
        for folder in (self._root, self._root.parent):  # The first upload makes the folder of all.
            sync(folder)
        return self.find(upload_id)

    def find(self, upload_id: str) -> PartialUpload:
        """Return the state of an upload.

        Raises:
            NotFound: there is no such upload, or it has expired.
        """
        upload = self._read(self._place(upload_id))
        if upload is None or clock.wall_time() - upload.used_at > PARTIAL_SECONDS:
            raise unknown(upload_id)
        return upload

    def open_piece(self, upload_id: str, offset: int) -> Piece:
        """Open the upload for the piece that begins at an offset.

        Raises:
            NotFound: there is no such upload.
            UploadConflict: it is at another offset, or another request is writing to it.
        """
        place = self._place(upload_id)
        check_offset(self.find(upload_id), offset)
        try:
            content = os.open(place / "content", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise unknown(upload_id) from None
        try:
            fcntl.flock(content, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Read again under the lock: another request may have written meanwhile.
            upload = self.find(upload_id)
            check_offset(upload, offset)
            _, *frames = _read_offset(place)
            sealed = self._sealed(content, offset, frames)
            os.ftruncate(content, offset if sealed is None else sealed.end)
        except SealBroken:
            os.close(content)
            raise unknown(upload_id) from None
        except BlockingIOError:
            os.close(content)
            raise UploadConflict(Message("storage.upload-is-written"), offset=self.find(upload_id).offset) from None
        except BaseException:
            os.close(content)
            raise
        return Piece(place, content, upload, sealed)

    def link(self, upload_id: str, view: Path) -> None:
        """Link the content of a complete upload as `view`, a path that does not exist yet.

        Raises:
            NotFound: it is gone.
            UploadConflict: bytes are missing.
        """
        check_complete(self.find(upload_id))
        try:
            handle = os.open(self._place(upload_id), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise unknown(upload_id) from None
        try:
            link_or_copy("content", view, handle)
            os.utime("offset", dir_fd=handle)
        except FileNotFoundError:
            raise unknown(upload_id) from None
        finally:
            os.close(handle)

    def finish(self, upload_id: str, *, digest: str, dataset_id: str) -> None:
        """Record the data set of an upload and remove its bytes, which the data set may keep."""
        place = self._place(upload_id)
        with suppress(FileNotFoundError):
            _write_json(place / "dataset.json", {"digest": digest, "dataset_id": dataset_id})
            (place / "content").unlink()

    def delete(self, upload_id: str) -> None:
        """Remove an upload.

        Raises:
            NotFound: there is no such upload.
        """
        self.find(upload_id)
        self._remove(self._place(upload_id))

    def ids(self) -> Sequence[str]:
        """Return the ids of all uploads."""
        return [place.name for place in self._places() if UPLOAD_ID.fullmatch(place.name)]

    def remove_of(self, dataset_id: str, digests: Collection[str]) -> Sequence[str]:
        """Remove the uploads that a data set was read from; return their ids.

        Args:
            dataset_id: the data set.
            digests: of files that were uploaded.
        """
        gone = list[str]()
        for place in self._places():
            upload = self._read(place)
            if upload is not None and (upload.dataset_id == dataset_id or upload.digest in digests):
                self._remove(place)
                gone.append(upload.upload_id)
        return gone

    def expire(self) -> int:
        """Remove uploads that have expired, and what failed creations and deletions left; return their number."""
        count, now = 0, clock.wall_time()
        for place in self._places():
            with suppress(OSError):
                # Also of one that cannot be opened now, since its key is not there.
                if now - _used_at(place) > PARTIAL_SECONDS:
                    self._remove(place)
                    count += 1
        return count

    def _sealed(self, content: int, offset: int, frames: Sequence[int]) -> SealedContent | None:
        if not frames:
            return None
        if offset == 0:
            # Also where the disk has lost what was acknowledged.
            return SealedContent.begun(content, self._sealing)
        return SealedContent.found(content, self._sealing, *frames)

    def count(self) -> int:
        """Return the number of uploads whose bytes are still kept here."""
        return sum((place / "content").exists() for place in self._places())

    def _limit(self) -> None:
        self.expire()
        found = [place for place in self._places() if UPLOAD_ID.fullmatch(place.name) and (place / "content").exists()]
        unfinished = sorted((_used_at(place), place) for place in found)
        if len(unfinished) < MOST_OPEN:
            return
        used_at, place = unfinished[0]
        if clock.wall_time() - used_at < LEFT_SECONDS:
            raise BulkheadFull("open uploads", retry_after=AGAIN_SECONDS)
        self._remove(place)

    def _read(self, place: Path) -> PartialUpload | None:
        if not UPLOAD_ID.fullmatch(place.name):
            return None
        try:
            about = json.loads(self._sealing.read_file(place / "about.json", _context(place.name)))
            (offset, *sealed), used_at = _read_offset(place), (place / "offset").stat().st_mtime
            finished = _read_json(place / "dataset.json")
            if not finished:
                size_bytes = (place / "content").stat().st_size
                offset = (offset if size_bytes >= sealed[0] else 0) if sealed else min(offset, size_bytes)
            return PartialUpload(
                upload_id=place.name,
                offset=offset,
                used_at=used_at,
                digest=finished.get("digest"),
                dataset_id=finished.get("dataset_id"),
                **about,
            )
        except (OSError, SealBroken, ValueError, TypeError):
            return None

    def _write_about(self, folder: Path, upload_id: str, about: Mapping[str, object]) -> None:
        text = json.dumps(about, ensure_ascii=False).encode()
        self._sealing.write_file(folder / "about.json", text, _context(upload_id))
        sync(folder / "about.json")

    def _places(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from sorted(self._root.iterdir())

    def _place(self, upload_id: str) -> Path:
        if not UPLOAD_ID.fullmatch(upload_id):
            raise unknown(upload_id)
        return self._root / upload_id

    def _remove(self, place: Path) -> None:
        gone = self._root / f".{randomness.token_hex(16)}"
        with suppress(FileNotFoundError):
            place.rename(gone)
            sync(self._root)
        remove(gone)


def _used_at(place: Path) -> float:
    """Return the time of the last piece; that of the folder where that is unknown."""
    with suppress(FileNotFoundError):
        return (place / "offset").stat().st_mtime
    try:
        return place.stat().st_mtime
    except FileNotFoundError:
        # Removed meanwhile.
        return clock.wall_time()


def _context(upload_id: str) -> str:
    return f"partial/{upload_id}"


def _read_offset(place: Path) -> list[int]:
    """Return the acknowledged bytes; of sealed content also where its frames end, and their number."""
    return [int(number) for number in (place / "offset").read_bytes().split()]


def _offset_text(offset: int, sealed: SealedContent | None) -> str:
    numbers = [offset] if sealed is None else [offset, sealed.end, sealed.number]
    return " ".join(f"{number:0{_OFFSET_CHARACTERS}}" for number in numbers)


def _write_offset(path: Path, text: str, *, create: bool) -> None:
    flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    handle = os.open(path, flags, 0o600)
    try:
        # Of one length and within one sector, so that a power failure leaves the old or the new one.
        os.pwrite(handle, f"{text}\n".encode(), 0)
        sync_handle(handle)
    finally:
        os.close(handle)


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    scratch = path.with_name(f".{path.name}")
    with open(scratch, "w", encoding="utf-8", opener=private_opener) as file:
        json.dump(value, file, ensure_ascii=False)
    sync(scratch)
    scratch.rename(path)
    sync(path.parent)


def _read_json(path: Path) -> dict[str, str]:
    with suppress(FileNotFoundError):
        return dict(json.loads(path.read_text(encoding="utf-8")))
    return {}
