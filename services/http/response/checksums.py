"""Checksums of an engine's responses to a gateway, which detect data of another response.

A complete body has one in the headers: the CRC-32 of the exchange id, the `Content-Digest` and the body. It is 25 times
as fast as SHA-256 on a processor without SHA instructions; the digest itself is for the client.

A stream is not complete when its headers are sent. So each event begins with a comment line that holds the CRC-32 of
the exchange id, the event's position in the stream and its bytes; a final comment marks the end of the stream. A
gateway verifies each event and forwards it without that line.
"""

import re
import zlib
from collections.abc import AsyncGenerator

from cqox.contract.messages import Message

__all__ = ["CHECKSUM", "EACH_EVENT", "BodyChecksum", "CheckedEvents", "EventMismatch", "with_checks"]

CHECKSUM = "X-Cqox-Checksum"
"""Response header to a gateway: `EACH_EVENT`, or the checksum of the body."""

EACH_EVENT = "each-event"
"""The value of `CHECKSUM` for a stream with a checksum for each event."""

_CRC = re.compile("[0-9a-f]{8}")
_BLOCK_END = b"\n\n"
_END = b": end\n\n"
_MAX_EVENT_BYTES = 64 * 2**20


class BodyChecksum:
    """The value of `CHECKSUM` for a body, computed incrementally.

    Args:
        exchange: the gateway's exchange id.
        content_digest: the `Content-Digest` of the response; empty where there is none.
    """

    __slots__ = ("_crc",)

    def __init__(self, exchange: str, content_digest: str) -> None:
        self._crc = zlib.crc32(f"{exchange} {content_digest}\n".encode("latin1", "replace"))

    @staticmethod
    def is_one(value: str) -> bool:
        """Return whether the value is the checksum of a body."""
        return _CRC.fullmatch(value) is not None

    def take(self, data: bytes) -> None:
        """Add a chunk."""
        self._crc = zlib.crc32(data, self._crc)

    def __str__(self) -> str:
        return f"{self._crc:08x}"


class EventMismatch(Exception):
    """An event is not the next one of this exchange, or the stream ended early.

    Attributes:
        why: how that shows, as a clause.
    """

    def __init__(self, why: Message) -> None:
        super().__init__(why)
        self.why = why


async def with_checks(events: AsyncGenerator[bytes], exchange: str) -> AsyncGenerator[bytes]:
    """Yield the events of a stream, each with its checksum, and a mark of the end.

    Args:
        events: complete events, each terminated by an empty line.
        exchange: the gateway's exchange id.
    """
    number = 0
    try:
        async for event in events:
            yield _check_line(exchange, number, event) + event
            number += 1
        yield _check_line(exchange, number, _END) + _END
    finally:
        await events.aclose()


class CheckedEvents:
    """The receiving side of `with_checks`: verifies chunks of any size and returns complete events.

    Args:
        exchange: the request's exchange id.
    """

    __slots__ = ("_exchange", "_number", "_pending", "_searched", "is_whole")

    def __init__(self, exchange: str) -> None:
        self.is_whole = False
        self._exchange = exchange
        self._number = 0
        self._pending = bytearray()
        self._searched = 0

    def take(self, data: bytes) -> bytes:
        """Add a chunk; return the verified events that it completes, without their checksums.

        Raises:
            EventMismatch: an event belongs to another stream, is out of order, was changed or is too large.
        """
        self._pending += data
        passed = bytearray()
        while (end := self._pending.find(_BLOCK_END, self._searched)) >= 0:
            block = bytes(self._pending[: end + len(_BLOCK_END)])
            del self._pending[: len(block)]
            self._searched = 0
            passed += self._checked(block)
        self._searched = max(0, len(self._pending) - 1)
        if len(self._pending) > _MAX_EVENT_BYTES:
            raise EventMismatch(Message("problems.event-too-large", most=_MAX_EVENT_BYTES))
        return bytes(passed)

    def finish(self) -> None:
        """Check that the stream was complete.

        Raises:
            EventMismatch: the stream ended before its end mark.
        """
        if not self.is_whole or self._pending:
            raise EventMismatch(Message("problems.events-incomplete"))

    def _checked(self, block: bytes) -> bytes:
        line, _, event = block.partition(b"\n")
        if self.is_whole or line + b"\n" != _check_line(self._exchange, self._number, event):
            raise EventMismatch(Message("problems.event-of-other-exchange", number=self._number + 1))
        self._number += 1
        if event != _END:
            return event
        self.is_whole = True
        return b""


def _check_line(exchange: str, number: int, event: bytes) -> bytes:
    return b": %08x\n" % zlib.crc32(event, zlib.crc32(f"{exchange} {number}".encode()))
