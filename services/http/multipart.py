"""The one file of a multipart form, taken apart as it streams by."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from cqox.errors import InvalidRequest, LimitExceeded

__all__ = ["FormFile", "file_of_form"]

_STEP_BYTES = 2**16
_MOST_BUFFERED_BYTES = 2**18
_MOST_FIELD_BYTES = 2**16
_MOST_PARTS = 32
_FILE = "file"


class FormFile:
    """The `file` field of a form; its attributes are filled while `content` is read.

    Attributes:
        filename: the name that the client gives.
        fields: the other fields.
    """

    def __init__(self, chunks: AsyncGenerator[bytes], decoder: MultipartDecoder) -> None:
        self._chunks = chunks
        self._decoder = decoder
        self.filename = ""
        self.fields: dict[str, str] = {}

    async def content(self) -> AsyncGenerator[bytes]:
        """The bytes of the file, in pieces.

        Raises:
            InvalidRequest: the form is broken, or has no file or more than one.
        """
        seen: list[str] = []
        current, held = "", bytearray()
        async with aclosing(self._events()) as events:
            async for event in events:
                if isinstance(event, File | Field):
                    current = self._begin(event, seen)
                elif isinstance(event, Data) and current == _FILE:
                    if event.data:
                        yield event.data
                elif isinstance(event, Data):
                    held += event.data
                    if len(held) > _MOST_FIELD_BYTES:
                        raise LimitExceeded(f"The field '{current}' is larger than {_MOST_FIELD_BYTES:,} bytes.")
                    if not event.more_data:
                        self.fields[current] = held.decode("utf-8", "replace")
                        held.clear()
        if _FILE not in seen:
            raise InvalidRequest(f"The form has no field '{_FILE}'.", field=_FILE, choices=seen)

    def _begin(self, part: File | Field, seen: list[str]) -> str:
        name = part.name or ""
        if name in seen:
            raise InvalidRequest(f"The form has the field '{name}' more than once.", field=name)
        if isinstance(part, File):
            if name != _FILE:
                raise InvalidRequest(f"The form's file is in the field '{name}'; send it as '{_FILE}'.", field=name)
            self.filename = part.filename
        seen.append(name)
        return name

    async def _events(self) -> AsyncGenerator[Event]:
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    for start in range(0, len(chunk), _STEP_BYTES):
                        self._decoder.receive_data(chunk[start : start + _STEP_BYTES])
                        while not isinstance(event := self._decoder.next_event(), NeedData):
                            yield event
            self._decoder.receive_data(None)
            while not isinstance(event := self._decoder.next_event(), NeedData | Epilogue):
                yield event
        except ValueError:
            raise InvalidRequest("The multipart form is cut off or broken; send it whole.") from None
        except RequestEntityTooLarge:
            raise LimitExceeded(f"The form has more than {_MOST_PARTS} fields, or one with a huge head.") from None


def file_of_form(chunks: AsyncGenerator[bytes], boundary: str) -> FormFile:
    """The file of a form whose bytes are `chunks`.

    Raises:
        InvalidRequest: the content type names no boundary.
    """
    if not boundary:
        raise InvalidRequest("The content type multipart/form-data names no boundary; let the client library set it.")
    decoder = MultipartDecoder(boundary.encode("latin1", "replace"), _MOST_BUFFERED_BYTES, max_parts=_MOST_PARTS)
    return FormFile(chunks, decoder)
