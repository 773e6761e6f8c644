"""The messages between an engine and its worker processes, as bytes.

A frame is two lengths (big-endian, 4 and 8 bytes), a JSON header and a payload. The header always names the job that
the frame belongs to, so that an answer can never be taken for another job's. Pure: no input or output in here.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Decoder", "Frame", "FrameError", "Kind", "encode"]

type Kind = Literal["ready", "task", "progress", "span", "log", "result", "error", "cancel", "cancelled"]
_KINDS = {"ready", "task", "progress", "span", "log", "result", "error", "cancel", "cancelled"}
_LENGTHS = struct.Struct(">IQ")
_MAX_HEADER = 64 * 1024 * 1024
_MAX_PAYLOAD = 1024 * 1024 * 1024


class FrameError(Exception):
    """The bytes are no frame: the two ends no longer understand each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message.

    Attributes:
        kind: what it is.
        job: the job it belongs to; 0 for `ready`, which belongs to none.
        body: JSON values.
        payload: bytes that are passed on as they are, such as a picture.
    """

    kind: Kind
    job: int
    body: dict[str, object] = field(default_factory=dict)
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """The frame as bytes.

    Raises:
        ValueError: the body holds NaN or an infinity, which JSON cannot carry.
    """
    header = json.dumps(
        {"kind": frame.kind, "job": frame.job, "body": frame.body}, allow_nan=False, separators=(",", ":")
    ).encode()
    return _LENGTHS.pack(len(header), len(frame.payload)) + header + frame.payload


class Decoder:
    """Makes frames of bytes as they arrive, in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now.

        Raises:
            FrameError: these bytes cannot be a frame.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTHS.size:
            header_length, payload_length = _LENGTHS.unpack_from(self._buffer)
            if header_length > _MAX_HEADER or payload_length > _MAX_PAYLOAD:
                raise FrameError(f"a frame of {header_length} + {payload_length} bytes is too long to be one")
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
        raise FrameError(f"the header of a frame cannot be read: {error}") from error
    if kind not in _KINDS or not isinstance(job, int) or not isinstance(body, dict):
        raise FrameError(f"a frame of kind {kind!r} for job {job!r} is not known")
    return Frame(kind=kind, job=job, body=body, payload=payload)
