"""Uploads that arrive in pieces, in an object store; blocking.

    partial/<upload id>/about             name, size and fingerprint; its time is that of creation
    partial/<upload id>/pieces/<offset>   a piece: the number of its bytes, and the bytes
    partial/<upload id>/dataset           digest and data set, once all of it was read; the pieces are deleted then

A piece is collected in the memory of the engine, and written as one new object when it is committed. Of two requests
that write the piece at one offset one wins, and the other is answered that the upload is at another offset.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from cqox import clock, randomness
from cqox.contract.messages import Message
from cqox.encryption import SealBroken
from cqox.errors import BulkheadFull, UploadConflict
from cqox.storage.objects.client import ObjectInfo, Objects
from cqox.storage.objects.keys import root_of
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
from cqox.storage.private import private_opener
from cqox.storage.sealing import UPLOAD, TenantSealing

__all__ = ["ObjectPiece", "ObjectUploads"]

_DIGITS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """The objects of one upload, by the rest of their keys."""

    objects: Mapping[str, ObjectInfo]

    @property
    def pieces(self) -> Sequence[str]:
        return sorted(name for name in self.objects if name.startswith("pieces/"))

    @property
    def used_at(self) -> float:
        return max((info.modified_at for info in self.objects.values()), default=0.0)


class ObjectPiece:
    """The writer of one piece; see `PieceWriter`.

    Args:
        uploads: the uploads of the tenant.
        upload: the upload, at the offset of the piece.
    """

    def __init__(self, uploads: "ObjectUploads", upload: PartialUpload) -> None:
        self._uploads = uploads
        self._upload = upload
        self._end = upload.offset
        # A piece is at most a few MiB.
        self._content = BytesIO()

    def write(self, data: bytes) -> None:
        """See `PieceWriter`."""
        check_size(self._upload, self._end + len(data))
        self._content.write(data)
        self._end += len(data)

    def commit(self) -> int:
        """See `PieceWriter`."""
        if self._end > self._upload.offset:
            self._content.seek(0)
            self._uploads.put(self._upload, self._content.read())
        return self._end

    def close(self) -> None:
        """See `PieceWriter`."""
        self._content.close()


class ObjectUploads:
    """The uploads in pieces of one tenant; see `UploadPieces`.

    Args:
        objects: the object store.
        tenant_id: the tenant.
        sealing: encryption at rest.
    """

    def __init__(self, objects: Objects, tenant_id: str, sealing: TenantSealing) -> None:
        self._objects = objects
        self._root = f"{root_of(tenant_id)}partial/"
        self._sealing = sealing

    def create(self, *, name: str, size_bytes: int, fingerprint: str | None) -> PartialUpload:
        """See `UploadPieces`."""
        self._limit()
        upload_id = randomness.token_hex(16)
        about = {"name": name, "size_bytes": size_bytes, "fingerprint": fingerprint}
        text = json.dumps(about, ensure_ascii=False).encode()
        self._objects.put(self._key(upload_id, "about"), self._sealing.seal(text, _context(upload_id)), only_new=True)
        return self.find(upload_id)

    def find(self, upload_id: str) -> PartialUpload:
        """See `UploadPieces`."""
        upload = self._read(upload_id, self._listed(upload_id))
        if upload is None or clock.wall_time() - upload.used_at > PARTIAL_SECONDS:
            raise unknown(upload_id)
        return upload

    def open_piece(self, upload_id: str, offset: int) -> ObjectPiece:
        """See `UploadPieces`."""
        upload = self.find(upload_id)
        check_offset(upload, offset)
        return ObjectPiece(self, upload)

    def put(self, upload: PartialUpload, data: bytes) -> None:
        """Write the piece at the offset of an upload.

        Raises:
            NotFound: the upload was removed meanwhile.
            UploadConflict: another request has written it.
        """
        upload_id, name = upload.upload_id, f"pieces/{upload.offset:0{_DIGITS}}"
        content = f"{len(data):0{_DIGITS}}".encode() + self._sealing.seal(data, _piece_context(upload_id, name))
        # A sealed repetition has other bytes: the client asks for the offset then, and finds its own piece there.
        if not self._objects.put(self._key(upload_id, name), content, only_new=True):
            raise UploadConflict(Message("storage.upload-is-written"), offset=self.find(upload_id).offset)
        if self._objects.get(self._key(upload_id, "about")) is None:
            self._objects.delete_below(self._key(upload_id, ""))
            raise unknown(upload_id)

    def link(self, upload_id: str, view: Path) -> None:
        """See `UploadPieces`."""
        listed = self._listed(upload_id)
        upload = self._read(upload_id, listed)
        if upload is None:
            raise unknown(upload_id)
        check_complete(upload)
        with open(view, "xb", opener=private_opener) as file:
            writer = self._sealing.writer(file, UPLOAD)
            try:
                for name in listed.pieces:
                    writer.write(self._piece(upload_id, name))
            except BaseException:
                writer.abandon()
                raise
            writer.close()

    def finish(self, upload_id: str, *, digest: str, dataset_id: str) -> None:
        """See `UploadPieces`."""
        listed = self._listed(upload_id)
        if "about" in listed.objects:
            content = json.dumps({"digest": digest, "dataset_id": dataset_id}).encode()
            self._objects.put(self._key(upload_id, "dataset"), content)
            self._objects.delete_below(self._key(upload_id, "pieces/"))

    def delete(self, upload_id: str) -> None:
        """See `UploadPieces`."""
        self.find(upload_id)
        self._remove(upload_id)

    def ids(self) -> Sequence[str]:
        """See `UploadPieces`."""
        return sorted(self._all())

    def remove_of(self, dataset_id: str, digests: Collection[str]) -> Sequence[str]:
        """See `UploadPieces`."""
        gone = list[str]()
        for upload_id, listed in self._all().items():
            upload = self._read(upload_id, listed)
            if upload is not None and (upload.dataset_id == dataset_id or upload.digest in digests):
                self._remove(upload_id)
                gone.append(upload_id)
        return gone

    def expire(self) -> int:
        """See `UploadPieces`."""
        count, now = 0, clock.wall_time()
        for upload_id, listed in self._all().items():
            if now - listed.used_at > PARTIAL_SECONDS:
                self._remove(upload_id)
                count += 1
        return count

    def count(self) -> int:
        """See `UploadPieces`."""
        return sum("dataset" not in listed.objects for listed in self._all().values())

    def _limit(self) -> None:
        found = self._all()
        unfinished = sorted((each.used_at, key) for key, each in found.items() if "dataset" not in each.objects)
        if len(unfinished) < MOST_OPEN:
            return
        used_at, upload_id = unfinished[0]
        if clock.wall_time() - used_at < LEFT_SECONDS:
            raise BulkheadFull("open uploads", retry_after=AGAIN_SECONDS)
        self._remove(upload_id)

    def _all(self) -> Mapping[str, _Listed]:
        found: dict[str, dict[str, ObjectInfo]] = {}
        for info in self._objects.list(self._root):
            upload_id, _, name = info.key.removeprefix(self._root).partition("/")
            if UPLOAD_ID.fullmatch(upload_id):
                found.setdefault(upload_id, {})[name] = info
        return {upload_id: _Listed(objects=objects) for upload_id, objects in found.items()}

    def _listed(self, upload_id: str) -> _Listed:
        if not UPLOAD_ID.fullmatch(upload_id):
            raise unknown(upload_id)
        root = self._key(upload_id, "")
        return _Listed(objects={info.key.removeprefix(root): info for info in self._objects.list(root)})

    def _read(self, upload_id: str, listed: _Listed) -> PartialUpload | None:
        found = self._objects.get(self._key(upload_id, "about")) if "about" in listed.objects else None
        if found is None:
            return None
        try:
            about = json.loads(self._sealing.open(found[0], _context(upload_id)))
            done = self._objects.get(self._key(upload_id, "dataset")) if "dataset" in listed.objects else None
            finished = {} if done is None else json.loads(done[0])
            return PartialUpload(
                upload_id=upload_id,
                offset=about["size_bytes"] if finished else self._offset(upload_id, listed),
                used_at=listed.used_at,
                digest=finished.get("digest"),
                dataset_id=finished.get("dataset_id"),
                **about,
            )
        except (SealBroken, ValueError, TypeError, KeyError):
            return None

    def _offset(self, upload_id: str, listed: _Listed) -> int:
        if not listed.pieces:
            return 0
        last = listed.pieces[-1]
        size = self._objects.head(self._key(upload_id, last), _DIGITS)
        return int(last.rpartition("/")[2]) + int(size or b"0")

    def _piece(self, upload_id: str, name: str) -> bytes:
        found = self._objects.get(self._key(upload_id, name))
        if found is None:
            raise unknown(upload_id)
        try:
            return self._sealing.open(found[0][_DIGITS:], _piece_context(upload_id, name))
        except SealBroken:
            raise unknown(upload_id) from None

    def _remove(self, upload_id: str) -> None:
        # First, so that a piece that is being written finds that the upload is gone.
        self._objects.delete(self._key(upload_id, "about"))
        self._objects.delete_below(self._key(upload_id, ""))

    def _key(self, upload_id: str, name: str) -> str:
        return f"{self._root}{upload_id}/{name}"


def _context(upload_id: str) -> str:
    return f"partial/{upload_id}"


def _piece_context(upload_id: str, name: str) -> str:
    return f"partial/{upload_id}/{name}"
