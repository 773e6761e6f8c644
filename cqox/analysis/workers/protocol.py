"""Wire protocol between an engine and its worker processes.

A frame is two lengths (big-endian, 4 and 8 bytes), a JSON header and a payload. The header always names the job of the
frame, so that an answer is never mistaken for that of another job. No I/O in this module.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Decoder", "Frame", "FrameError", "Kind", "encode"]

type Kind = Literal[
    "ready", "task", "progress", "span", "log", "ask", "answer", "result", "error", "cancel", "cancelled"
]  # fmt: skip
_KINDS = {"ready", "task", "progress", "span", "log", "ask", "answer", "result", "error", "cancel", "cancelled"}
_LENGTHS = struct.Struct(">IQ")
_MAX_HEADER = 64 * 1024 * 1024
_MAX_PAYLOAD = 1024 * 1024 * 1024


class FrameError(Exception):
    """The bytes are not a frame: the peers use different protocols."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message.

    Attributes:
        kind: type of the message.
        job: number of its job; 0 for `ready`, which belongs to none.
        body: JSON values.
        payload: binary data, such as an image.
    """

    kind: Kind
    job: int
    body: dict[str, object] = field(default_factory=dict)
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """Serialise the frame.

    Raises:
        ValueError: the body contains NaN or an infinity, which JSON cannot represent.
    """
    header = json.dumps(
        {"kind": frame.kind, "job": frame.job, "body": frame.body}, allow_nan=False, separators=(",", ":")
    ).encode()
    return _LENGTHS.pack(len(header), len(frame.payload)) + header + frame.payload


class Decoder:
    """Incremental decoder of frames from pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete now.

        Raises:
            FrameError: the bytes are not a frame.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTHS.size:
            header_length, payload_length = _LENGTHS.unpack_from(self._buffer)
            if header_length > _MAX_HEADER or payload_length > _MAX_PAYLOAD:
                raise FrameError(f"a frame of {header_length} + {payload_length} bytes exceeds the maximum length")
            end_of_header = _LENGTHS.size + header_length
            end = end_of_header + payload_length
            if len(self._buffer) < end:
                return
            header = bytes(self._buffer[_LENGTHS.size : end_of_header])
            payload = bytes(self._buffer[end_of_header:end])
            del self._buffer[:end]
            yield _frame(header, payload)


def _frame(header: bytes, payload: bytes) -> Frame:
    try:
        fields = json.loads(header)
        kind, job, body = fields["kind"], fields["job"], fields["body"]
    except (ValueError, KeyError, TypeError) as error:
        raise FrameError(f"the header of a frame cannot be parsed: {error}") from error
    if kind not in _KINDS or not isinstance(job, int) or not isinstance(body, dict):
        raise FrameError(f"a frame of unknown kind {kind!r} for job {job!r}")
    return Frame(kind=kind, job=job, body=body, payload=payload)
