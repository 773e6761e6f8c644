"""Sealed bytes of an upload that arrives in pieces: frames are appended by one process after another; blocking."""

import os
from typing import TYPE_CHECKING, Self

from cqox.fault_points import fault_point
from cqox.storage.sealing import UPLOAD, TenantSealing

if TYPE_CHECKING:
    from cqox.encryption.sealed_stream import Frames

__all__ = ["SealedContent", "write_all"]


class SealedContent:
    """The frames of one upload.

    Args:
        handle: descriptor of the open file.
        frames: seals the next frame.
        end: where the next frame is written.

    Attributes:
        end: where the next frame is written.
    """

    def __init__(self, handle: int, frames: "Frames", end: int) -> None:
        self._handle = handle
        self._frames = frames
        self.end = end

    @classmethod
    def begun(cls, handle: int, sealing: TenantSealing) -> Self:
        """Write the header of new content.

        Raises:
            OSError: the disk rejects it.
            StoreUnavailable: there is no data key.
        """
        from cqox.encryption.sealed_stream import begin

        header, frames = begin(sealing.data_key(), sealing.full_context(UPLOAD))
        head = header.to_bytes()
        write_all(handle, head, 0)
        return cls(handle, frames, len(head))

    @classmethod
    def found(cls, handle: int, sealing: TenantSealing, end: int, number: int) -> Self:
        """Return content that was begun before, also by another process.

        Args:
            handle: descriptor of the open file.
            sealing: encryption at rest.
            end: where its frames end.
            number: how many there are.

        Raises:
            SealBroken: its header is damaged.
            StoreUnavailable: its key is not there.
        """
        from cqox.encryption.sealed_stream import Frames, read_header

        with open(handle, "rb", closefd=False) as file:
            file.seek(0)
            header = read_header(file)
        cipher = header.object_key(sealing.key_of(header.wrapped), sealing.full_context(UPLOAD))
        return cls(handle, Frames(cipher, number), end)

    @property
    def number(self) -> int:
        """Number of frames."""
        return self._frames.number

    def append(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            OSError: the disk rejects them.
        """
        from cqox.encryption.sealed_stream import FRAME_BYTES

        for start in range(0, len(data), FRAME_BYTES):
            frame = self._frames.seal(data[start : start + FRAME_BYTES], last=False)
            write_all(self._handle, frame, self.end)
            self.end += len(frame)

    def close(self) -> None:
        """Write the last frame beyond the end, which stays, so that a repetition writes it again.

        Raises:
            OSError: the disk rejects it.
        """
        number = self._frames.number
        write_all(self._handle, self._frames.seal(b"", last=True), self.end)
        self._frames.number = number


def write_all(handle: int, data: bytes, at: int) -> None:
    """Write bytes at a position of a file, all of them."""
    rest = memoryview(data)
    while rest:
        fault_point("disk.write", handle)
        written = os.pwrite(handle, rest, at)
        at += written
        rest = rest[written:]
