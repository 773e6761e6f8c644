"""Targets of HTTP/1.1 requests in a stream of bytes, for faults that meet single requests."""

import re
from collections.abc import Iterator

__all__ = ["RequestHeads"]

_MOST_HEAD_BYTES = 65536
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:.*chunked", re.IGNORECASE | re.MULTILINE)


class RequestHeads:
    """The heads of the requests of one connection; bodies are passed over by their length or their chunks.

    Bytes that are no HTTP/1.1 yield nothing.
    """

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self._chunks = False
        self._broken = False

    def feed(self, data: bytes) -> list[str]:
        """Take bytes from a client, and return the targets of the requests whose heads end in them."""
        return list(self._targets(data))

    def _targets(self, data: bytes) -> Iterator[str]:
        while data and not self._broken:
            if self._left:
                taken = min(self._left, len(data))
                self._left -= taken
                data = data[taken:]
            elif self._chunks:
                data = self._chunk(data)
            else:
                self._head += data
                head, end, data = self._head.partition(b"\r\n\r\n")
                if not end:
                    self._broken = len(head) > _MOST_HEAD_BYTES
                    return
                self._head = b""
                yield from self._request(head)

    def _request(self, head: bytes) -> Iterator[str]:
        parts = head.lstrip(b"\r\n").split(b"\r\n", 1)[0].split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
            self._broken = True
            return
        length = _LENGTH.search(head)
        self._left = int(length[1]) if length else 0
        self._chunks = _CHUNKED.search(head) is not None
        yield parts[1].decode("latin-1")

    def _chunk(self, data: bytes) -> bytes:
        """Read the line of a size, and return what follows it; the chunk itself is passed over as `_left`."""
        self._head += data
        line, end, rest = self._head.partition(b"\r\n")
        if not end:
            return b""
        self._head = b""
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            self._broken = True
            return b""
        # Two more for the end of its line; the last one is followed by an empty line, without trailers.
        self._left = size + 2
        self._chunks = size > 0
        return rest
