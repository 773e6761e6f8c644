"""Streaming extraction of the one file in a multipart form (RFC 7578).

The `multipart` package parses the parts; this module selects the file and bounds the memory of other fields.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
from werkzeug.http import parse_options_header

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, LimitExceeded

__all__ = ["Content", "FormFile", "MultipartReader", "Part", "file_of_form"]

_MOST_LINE_BYTES = 2**13
_MOST_LINES = 8
_MOST_FIELD_BYTES = 2**16
_MOST_PARTS = 32
_FILE = "file"
_DISPOSITION = "Content-Disposition"


@dataclass(frozen=True, slots=True)
class Part:
    """The headers of a part.

    Attributes:
        name: of the field.
        filename: the client's name of the file; None where the part is no file.
    """

    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class Content:
    """A chunk of the part whose headers came last."""

    data: bytes


class MultipartReader:
    """An incremental parser of a form, without I/O.

    Args:
        boundary: of the content type.
    """

    def __init__(self, boundary: bytes) -> None:
        # Latin-1 preserves every byte; file names come in more encodings than the RFC allows.
        with _translated_errors():
            self._parser = PushMultipartParser(
                boundary, header_charset="latin1", max_header_size=_MOST_LINE_BYTES, max_header_count=_MOST_LINES
            )
        self._parts = 0

    def feed(self, data: bytes) -> Iterator[Part | Content]:
        """Parse bytes and yield the events in order; exhaust the iterator before the next call.

        Raises:
            InvalidRequest: the form is malformed.
            LimitExceeded: the form has too many parts, or one with a huge head.
        """
        if not data:
            return
        with _translated_errors():
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    yield self._part(event)
                elif event is not None:
                    yield Content(event)

    def end(self) -> None:
        """Signal the end of the input.

        Raises:
            InvalidRequest: the closing boundary is missing; data after it is ignored.
        """
        with _translated_errors():
            self._parser.close()

    def _part(self, segment: MultipartSegment) -> Part:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise LimitExceeded(Message("request.too-many-parts", most=_MOST_PARTS))
        # The package does not support `filename*`.
        value = segment.header(_DISPOSITION, "").encode("latin1").decode("utf-8", "replace")
        _, options = parse_options_header(value.strip())
        if "name" not in options:
            raise InvalidRequest(Message("request.part-without-name", header=_DISPOSITION))
        return Part(name=options["name"], filename=options.get("filename"))


class FormFile:
    """The `file` field of a form; its attributes are filled while `content` is read.

    Attributes:
        filename: the client's name of the file.
        fields: the other fields.
    """

    def __init__(self, chunks: AsyncGenerator[bytes], boundary: bytes) -> None:
        self._chunks = chunks
        self._reader = MultipartReader(boundary)
        self._seen: list[str] = []
        self.filename = ""
        self.fields: dict[str, str] = {}

    async def content(self) -> AsyncGenerator[bytes]:
        """Yield the bytes of the file in chunks.

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
        self._reader.end()
        if _FILE not in self._seen:
            raise InvalidRequest(Message("request.form-without-file", field=_FILE), field=_FILE, choices=self._seen)
        self.fields = {name: bytes(data).decode("utf-8", "replace") for name, data in held.items()}

    def _begin(self, part: Part) -> None:
        if part.name in self._seen:
            raise InvalidRequest(Message("request.repeated-form-field", field=part.name), field=part.name)
        if part.filename is not None and part.name != _FILE:
            raise InvalidRequest(
                Message("request.file-in-other-field", expected=_FILE, field=part.name), field=part.name
            )
        if part.name == _FILE:
            self.filename = part.filename or ""
        self._seen.append(part.name)

    def _hold(self, held: bytearray, data: bytes) -> None:
        held += data
        if len(held) > _MOST_FIELD_BYTES:
            raise LimitExceeded(Message("request.form-field-too-large", field=self._seen[-1], most=_MOST_FIELD_BYTES))


def file_of_form(chunks: AsyncGenerator[bytes], boundary: str) -> FormFile:
    """Return the file of a form whose bytes are `chunks`.

    Raises:
        InvalidRequest: the content type has no boundary.
    """
    if not boundary:
        raise InvalidRequest(Message("request.no-boundary"))
    return FormFile(chunks, boundary.encode("latin1", "replace"))


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate errors of the package into errors of CQOx."""
    try:
        yield
    except ParserLimitReached:
        raise LimitExceeded(
            Message("request.part-head-too-large", most_bytes=_MOST_LINE_BYTES, most_lines=_MOST_LINES)
        ) from None
    except MultipartError as error:
        raise InvalidRequest(Message("request.broken-form", reason=_plain(error))) from None


def _plain(error: MultipartError) -> str:
    said = str(error.args[0] if error.args else "").removesuffix(" (parser closed)")
    return said[:1].lower() + said[1:]
