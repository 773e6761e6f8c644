"""The state of one upload that arrives in pieces, and its rules; where its bytes are does not matter here."""

import re
from dataclasses import dataclass

from cqox.contract.messages import Message
from cqox.errors import LimitExceeded, NotFound, UploadConflict

__all__ = [
    "AGAIN_SECONDS",
    "LEFT_SECONDS",
    "MOST_OPEN",
    "PARTIAL_SECONDS",
    "UPLOAD_ID",
    "PartialUpload",
    "check_complete",
    "check_offset",
    "check_size",
    "unknown",
]

PARTIAL_SECONDS = 86_400.0
"""Time from its last piece after which an upload is removed."""

MOST_OPEN = 100
"""Uploads without all of their bytes, of one tenant; beyond it one that was left for an hour is removed."""

LEFT_SECONDS = 3600.0
AGAIN_SECONDS = 60.0
UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialUpload:
    """The state of an upload in pieces.

    Attributes:
        upload_id: 32 hexadecimal digits, not to be guessed.
        name: the client's name for the file.
        size_bytes: size of the whole file.
        fingerprint: what the client recognises the file by; None if it gave nothing.
        offset: bytes that are acknowledged.
        used_at: time of the last piece, in seconds of the Unix epoch.
        digest: BLAKE2b of the whole file; None until it was read.
        dataset_id: the data set that was first read from it; None until then.
    """

    upload_id: str
    name: str
    size_bytes: int
    fingerprint: str | None
    offset: int
    used_at: float
    digest: str | None = None
    dataset_id: str | None = None

    @property
    def is_complete(self) -> bool:
        """True once all bytes are acknowledged."""
        return self.offset == self.size_bytes


def check_offset(upload: PartialUpload, offset: int) -> None:
    """Raise `UploadConflict` unless the upload is at this offset."""
    if offset != upload.offset:
        detail = Message("storage.upload-at-other-offset", offset=upload.offset, given=offset)
        raise UploadConflict(detail, offset=upload.offset)


def check_complete(upload: PartialUpload) -> None:
    """Raise `UploadConflict` unless all bytes are acknowledged."""
    if not upload.is_complete:
        detail = Message("storage.upload-incomplete", offset=upload.offset, size=upload.size_bytes)
        raise UploadConflict(detail, offset=upload.offset)


def check_size(upload: PartialUpload, size_bytes: int) -> None:
    """Raise `LimitExceeded` if the upload has more bytes than its client said."""
    if size_bytes > upload.size_bytes:
        raise LimitExceeded(Message("storage.upload-exceeds-size", size=upload.size_bytes))


def unknown(upload_id: str) -> NotFound:
    """Return the error that there is no such upload."""
    return NotFound(Message("storage.no-upload", upload=upload_id[:100]), field="upload_id")
