"""The one file of a multipart form (RFC 7578), taken apart as it streams by.

Why not werkzeug's decoder: where a piece ends between the last boundary and the two characters after it, version 3.1
hands out the CR before the boundary as if it belonged to the file.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum, auto

from werkzeug.http import parse_options_header

from cqox.errors import InvalidRequest, LimitExceeded

__all__ = ["Content", "FormFile", "MultipartReader", "Part", "file_of_form"]

_MOST_HEAD_BYTES = 2**14
_MOST_FIELD_BYTES = 2**16
_MOST_PARTS = 32
_FILE = "file"


@dataclass(frozen=True, slots=True)
class Part:
    """The head of a part.

    Attributes:
        name: of the field.
        filename: what the client calls the file, None where the part is no file.
    """

    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class Content:
    """A piece of the part whose head came last."""

    data: bytes


class _State(Enum):
    PREAMBLE = auto()
    AFTER_BOUNDARY = auto()
    HEAD = auto()
    CONTENT = auto()
    ENDED = auto()


class MultipartReader:
    """Turns bytes into the parts of a form; knows nothing of where the bytes come from.

    Args:
        boundary: of the content type.
    """

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        # The first boundary may stand at the very beginning, without the line break that belongs to all others.
        self._buffer = bytearray(b"\r\n")
        self._state = _State.PREAMBLE
        self._parts = 0

    @property
    def ended(self) -> bool:
        """Whether the closing boundary was seen; what follows it is ignored."""
        return self._state is _State.ENDED

    def feed(self, data: bytes) -> Iterator[Part | Content]:
        """What these bytes bring to light, in order; exhaust it before the next call.

        Raises:
            InvalidRequest: they are no form.
            LimitExceeded: the form has too many parts, or one with a huge head.
        """
        self._buffer += data
        while (found := self._step()) is not None:
            yield from found

    def _step(self) -> tuple[Part | Content, ...] | None:
        """One step of what the buffer allows; None where it takes more bytes."""
        match self._state:
            case _State.PREAMBLE | _State.CONTENT:
                return self._until_boundary()
            case _State.AFTER_BOUNDARY:
                return self._after_boundary()
            case _State.HEAD:
                return self._head()
            case _State.ENDED:
                self._buffer.clear()
                return None

    def _until_boundary(self) -> tuple[Part | Content, ...] | None:
        at = self._buffer.find(self._delimiter)
        # What could be the beginning of a boundary stays until it is known.
        end = at if at >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        data = bytes(self._buffer[:end]) if self._state is _State.CONTENT else b""
        del self._buffer[: end + (len(self._delimiter) if at >= 0 else 0)]
        if at >= 0:
            self._state = _State.AFTER_BOUNDARY
        elif not data:
            return None
        return (Content(data),) if data else ()

    def _after_boundary(self) -> tuple[Part | Content, ...] | None:
        if self._buffer.startswith(b"--"):
            self._state = _State.ENDED
            return ()
        line, found, _ = self._buffer.partition(b"\r\n")
        if line.strip(b" \t\r-") or len(line) > _MOST_HEAD_BYTES:
            raise _broken()
        if not found:
            return None
        # The line break stays: a part may have no head at all, and then it is half of the empty line.
        del self._buffer[: len(line)]
        self._state = _State.HEAD
        return ()

    def _head(self) -> tuple[Part | Content, ...] | None:
        at = self._buffer.find(b"\r\n\r\n")
        if max(at, len(self._buffer) if at < 0 else 0) > _MOST_HEAD_BYTES:
            raise LimitExceeded(f"A part of the form has a head of more than {_MOST_HEAD_BYTES:,} bytes.")
        if at < 0:
            return None
        part = _part_of(bytes(self._buffer[:at]))
        del self._buffer[: at + 4]
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise LimitExceeded(f"The form has more than {_MOST_PARTS} parts.")
        self._state = _State.CONTENT
        return (part,)


class FormFile:
    """The `file` field of a form; its attributes are filled while `content` is read.

    Attributes:
        filename: the name that the client gives.
        fields: the other fields.
    """

    def __init__(self, chunks: AsyncGenerator[bytes], boundary: bytes) -> None:
        self._chunks = chunks
        self._reader = MultipartReader(boundary)
        self._seen: list[str] = []
        self.filename = ""
        self.fields: dict[str, str] = {}

    async def content(self) -> AsyncGenerator[bytes]:
        """The bytes of the file, in pieces.

        Raises:
            InvalidRequest: the form is broken, or has no file or more than one.
            LimitExceeded: the form has too many fields, or one that is too large.
        """
        held: dict[str, bytearray] = {}
        async with aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                for event in self._reader.feed(chunk):
                    if isinstance(event, Part):
                        self._begin(event)
                    elif self._seen[-1] == _FILE:
                        yield event.data
                    else:
                        self._hold(held.setdefault(self._seen[-1], bytearray()), event.data)
        if not self._reader.ended:
            raise _broken()
        if _FILE not in self._seen:
            raise InvalidRequest(f"The form has no field '{_FILE}'.", field=_FILE, choices=self._seen)
        self.fields = {name: bytes(data).decode("utf-8", "replace") for name, data in held.items()}

    def _begin(self, part: Part) -> None:
        if part.name in self._seen:
            raise InvalidRequest(f"The form has the field '{part.name}' more than once.", field=part.name)
        if part.filename is not None and part.name != _FILE:
            raise InvalidRequest(
                f"The form's file is in the field '{part.name}'; send it as '{_FILE}'.", field=part.name
            )
        if part.name == _FILE:
            self.filename = part.filename or ""
        self._seen.append(part.name)

    def _hold(self, held: bytearray, data: bytes) -> None:
        held += data
        if len(held) > _MOST_FIELD_BYTES:
            raise LimitExceeded(f"The field '{self._seen[-1]}' is larger than {_MOST_FIELD_BYTES:,} bytes.")


def file_of_form(chunks: AsyncGenerator[bytes], boundary: str) -> FormFile:
    """The file of a form whose bytes are `chunks`.

    Raises:
        InvalidRequest: the content type names no boundary.
    """
    if not boundary:
        raise InvalidRequest("The content type multipart/form-data names no boundary; let the client library set it.")
    return FormFile(chunks, boundary.encode("latin1", "replace"))


def _part_of(head: bytes) -> Part:
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            _, options = parse_options_header(value.strip())
            if "name" in options:
                return Part(name=options["name"], filename=options.get("filename"))
    raise InvalidRequest("A part of the form has no Content-Disposition with a name; let the client library write it.")


def _broken() -> InvalidRequest:
    return InvalidRequest("The multipart form is cut off or broken; send it whole.")
