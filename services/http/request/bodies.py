"""Reading of request bodies and JSON with bounds on size, nesting depth and transfer rate."""

import codecs
import hashlib
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

import trio
from pydantic import JsonValue
from werkzeug.exceptions import RequestTimeout

from cqox.contract.json_kinds import json_kind
from cqox.contract.messages import Message
from cqox.errors import BodyCorrupted, InputError, InvalidRequest, LimitExceeded, Shed
from services.config.body_pace import BodyPace
from services.http.request.digests import CONTENT_DIGEST, announced
from services.http.request.pace import PaceWatch
from services.http.request.propagation import Received

if TYPE_CHECKING:
    from services.http.request.proxied import AnyRequest
    from services.http.request.request import IncomingRequest

__all__ = [
    "DEFAULT_PACE",
    "ContentKind",
    "NotJson",
    "OtherMediaType",
    "chunks_of",
    "declared_length",
    "decode_json",
    "read_body",
    "read_json",
    "read_json_bytes",
    "too_large",
]

type ContentKind = Literal["body", "file", "form", "piece"]
"""Name of the received part in messages."""

DEFAULT_PACE = BodyPace()
"""The default transfer rate bounds."""

_HELD_BYTES = 2**27
"""Memory limit of all bodies being received together."""
_SMALL_BYTES = 2**16
"""Memory exempt from that limit for each body, so that large requests never cause small ones to be rejected."""
_GATHER_BYTES = 2**14
_GATHER_SECONDS = 0.02
_STALL_SECONDS = 1.0
_MOST_LEVELS = 100
_MOST_SEPARATORS = 100_000
"""Limit on commas and opening brackets, including those in strings; the contract accepts half as many values."""
_MOST_TOKENS = 4 * _MOST_SEPARATORS
"""Most strings and brackets in JSON of that many separators: two strings and two brackets for each."""
_FIRST_TOKENS = 10 * _MOST_LEVELS
# The closing quote is optional: searching for it from every quote of an unterminated string would take hours.
_NESTING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9!#$&^_.+-]{1,100}\+)?json")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# Some of Python's other codecs, such as Punycode, take quadratic time.
_CHARSETS = frozenset(
    {
        *("ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be", "utf-32-le"),
        *("cp932", "shift_jis", "euc_jp", "iso2022_jp", "cp1252", "iso8859-1", "iso8859-15"),
    }
)

_CONTENTS: Mapping[ContentKind, Message] = {
    "body": Message("request.word-body"),
    "file": Message("request.word-file"),
    "form": Message("request.word-form"),
    "piece": Message("request.word-piece"),
}


class OtherMediaType(InputError):
    """The operation takes another media type than that of the request."""


class NotJson(OtherMediaType):
    """The operation takes JSON, and the request has another media type."""


def declared_length(request: "AnyRequest", *, max_bytes: int, what: ContentKind) -> int | None:
    """Return the request's Content-Length, None where it has none.

    Raises:
        LimitExceeded: it exceeds the limit, so that the body need not be read.
    """
    length = request.content_length
    if length is not None and length > max_bytes:
        raise too_large(what, max_bytes)
    return length


async def chunks_of(
    request: "AnyRequest",
    *,
    max_bytes: int,
    pace: BodyPace = DEFAULT_PACE,
    what: ContentKind = "body",
    stalled: Callable[[], None] | None = None,
) -> AsyncGenerator[bytes]:
    """Yield the body in chunks as it arrives, tiny ones merged; close it with `aclosing` unless it is exhausted.

    Args:
        request: the request.
        max_bytes: the largest body that is accepted.
        pace: bounds on its transfer rate.
        what: name of the content in messages.
        stalled: called when the rate falls below the bound for a moment, and again for each chunk until it recovers.

    Raises:
        LimitExceeded: the body is larger.
        RequestTimeout: it arrived too slowly (werkzeug's, 408).
    """
    declared_length(request, max_bytes=max_bytes, what=what)
    now, total, received = trio.current_time(), 0, Received()
    watch = PaceWatch(pace, now)
    flow = None if stalled is None else _flow(pace, now)
    while True:
        before = trio.current_time()
        if stalled and flow and not await _arrives(request, before + flow.patience(before)):
            stalled()
        await _wait(request, watch, pace, what, before)
        data = await anext(request.body, None)
        if data is None:
            request.received = received
            return
        received.take(data)
        waited = trio.current_time() - before
        watch.take(len(data), waited)
        if flow:
            flow.take(len(data), waited)
        total += len(data)
        if total > max_bytes:
            raise too_large(what, max_bytes)
        yield data


async def _wait(request: "AnyRequest", watch: PaceWatch, pace: BodyPace, what: ContentKind, before: float) -> None:
    if watch.is_over(trio.current_time()):
        raise _too_slow(watch, pace, what, over=True)
    patience = watch.patience(before)
    if not await _arrives(request, before + patience):
        # Not the time that a busy machine noticed it later: the window would lose what came first.
        watch.take(0, max(patience, 0.0))
        raise _too_slow(watch, pace, what, over=watch.is_over(trio.current_time()))
    # The cost of a chunk does not depend on its size, so wait briefly for more.
    if not request.body.has(_GATHER_BYTES):
        with trio.move_on_after(_GATHER_SECONDS):
            await request.body.wait_for(_GATHER_BYTES)


async def _arrives(request: "AnyRequest", deadline: float) -> bool:
    """Wait until the deadline for the next chunk or the end; return whether it has arrived."""
    if not request.body.has(1):
        with trio.CancelScope(deadline=deadline):
            await request.body.wait_for(1)
    return request.body.has(1)


def _flow(pace: BodyPace, now: float) -> PaceWatch:
    return PaceWatch(replace(pace, window_seconds=min(_STALL_SECONDS, pace.window_seconds)), now)


class _Held:
    """The memory of all request bodies being received in this process."""

    def __init__(self) -> None:
        self.size_bytes = 0

    @contextmanager
    def share(self) -> Iterator["_Share"]:
        """Account for one body, and release its memory at the end of the block."""
        share = _Share(self)
        try:
            yield share
        finally:
            self.size_bytes -= share.counted


class _Share:
    def __init__(self, held: _Held) -> None:
        self._held = held
        self._size_bytes = 0
        self.counted = 0

    def take(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        more = max(0, self._size_bytes - _SMALL_BYTES) - self.counted
        if more > 0 and self._held.size_bytes + more > _HELD_BYTES:
            raise Shed("request bodies", retry_after=2.0)
        self._held.size_bytes += more
        self.counted += more


_held = _Held()


async def read_body(request: "AnyRequest", *, max_bytes: int, pace: BodyPace = DEFAULT_PACE) -> bytes:
    """Read the complete body.

    Raises:
        LimitExceeded: it is larger than `max_bytes`.
        RequestTimeout: it arrived too slowly (werkzeug's, 408).
        BodyCorrupted: the body does not match its `Content-Digest`.
        Shed: the bodies being received exceed their memory limit.
    """
    body = _arrived(request, max_bytes=max_bytes)
    if body is None:
        pieces: list[bytes] = []
        with _held.share() as share:
            async for data in chunks_of(request, max_bytes=max_bytes, pace=pace):
                share.take(len(data))
                pieces.append(data)
            body = b"".join(pieces)
    expected = announced(request)
    if expected is not None and expected != hashlib.sha256(body).digest():
        raise BodyCorrupted(Message("request.digest-mismatch", header=CONTENT_DIGEST))
    return body


def _arrived(request: "AnyRequest", *, max_bytes: int) -> bytes | None:
    """Return a body that has arrived completely, which needs no account of its pace; None where more may arrive."""
    declared_length(request, max_bytes=max_bytes, what="body")
    if (body := request.body.take_rest()) is not None:
        if len(body) > max_bytes:
            raise too_large("body", max_bytes)
        request.received = Received()
        request.received.take(body)
    return body


async def read_json_bytes(request: "AnyRequest", *, max_bytes: int, pace: BodyPace = DEFAULT_PACE) -> bytes:
    """Read the complete body of a request of media type JSON, without parsing it.

    Browsers send simple media types across origins without a CORS preflight, but not JSON.

    Raises:
        NotJson: the media type is not `application/json` or `application/…+json`, or is missing.
        LimitExceeded: it is larger than `max_bytes`.
        RequestTimeout: it arrived too slowly (werkzeug's, 408).
        BodyCorrupted: the body does not match its `Content-Digest`.
    """
    given = request.values_of("Content-Type")
    if given and (len(given) > 1 or not _JSON_TYPE.fullmatch(request.mimetype)):
        raise _not_json(", ".join(given))
    body = await read_body(request, max_bytes=max_bytes, pace=pace)
    if body and not given:
        raise _not_json("")
    return body


async def read_json(
    request: "IncomingRequest", *, max_bytes: int, pace: BodyPace = DEFAULT_PACE
) -> dict[str, JsonValue]:
    """Read the body and parse it as a JSON object.

    Raises:
        NotJson: it has another media type.
        InvalidRequest: it is empty, no JSON, no object, nested too deep, holds too many values, or names a key twice
            in one object.
        LimitExceeded: it is larger than `max_bytes`.
        RequestTimeout: it arrived too slowly (werkzeug's, 408).
        BodyCorrupted: the body does not match its `Content-Digest`.
    """
    body = await read_json_bytes(request, max_bytes=max_bytes, pace=pace)
    return decode_json(body, charset=request.mimetype_params.get("charset", ""))


def decode_json(body: bytes, *, charset: str = "") -> dict[str, JsonValue]:
    """Parse bytes as a JSON object.

    Input that would block the event loop is rejected before parsing. A bound on bytes does not suffice: four megabytes
    of brackets take seconds.

    Args:
        body: the bytes.
        charset: of the content type; if empty, UTF-8, UTF-16 or UTF-32 is detected from the first bytes.

    Raises:
        InvalidRequest: they are empty, no JSON, no object, nested too deep, hold too many values, or name a key twice
            in one object.
    """
    text = _decoded(body, charset)
    if not text.strip():
        raise InvalidRequest(Message("request.empty-body"))
    _check_shape(text)
    try:
        value: JsonValue = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        detail = Message("request.body-is-not-json", column=error.colno, line=error.lineno, reason=error.msg.lower())
        raise InvalidRequest(detail) from None
    except ValueError as error:
        raise InvalidRequest(Message("request.unreadable-number", reason=str(error))) from None
    if not isinstance(value, dict):
        raise InvalidRequest(Message("request.body-is-no-object", kind=json_kind(value)))
    _check_characters(text, value)
    return value


def _decoded(body: bytes, charset: str) -> str:
    encoding = _known(charset) if charset else json.detect_encoding(body)
    try:
        # Editors write a byte order mark even where the charset is declared.
        return body.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        name = charset or "UTF-8"
        detail = (
            Message("request.wrong-charset-at-byte", byte=error.start, charset=name)
            if isinstance(error, UnicodeDecodeError)
            else Message("request.wrong-charset", charset=name)
        )
        raise InvalidRequest(detail) from None


def _known(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        raise InvalidRequest(Message("request.no-such-charset", charset=charset[:50])) from None
    if name not in _CHARSETS:
        raise InvalidRequest(Message("request.unaccepted-charset", charset=charset[:50]))
    return name


def _check_shape(text: str) -> None:
    separators = sum(text.count(one) for one in ",[{")
    if separators <= _MOST_LEVELS:
        return
    wide = separators > _MOST_SEPARATORS
    # The parser recurses for each level: without this check a few kilobytes of brackets exhaust its stack. Input that
    # is rejected for its width is scanned only far enough to report excessive depth instead.
    depth = 0
    for match in islice(_NESTING.finditer(text), _FIRST_TOKENS if wide else _MOST_TOKENS):
        token = match.group()
        if token in "[{":
            depth += 1
            if depth > _MOST_LEVELS:
                raise InvalidRequest(Message("request.nested-too-deep", most=_MOST_LEVELS))
        elif token in "]}":
            depth -= 1
    if wide:
        raise InvalidRequest(Message("request.too-many-separators", most=_MOST_SEPARATORS))


def _check_characters(text: str, value: JsonValue) -> None:
    # JSON can escape a lone surrogate, which no encoding can represent: storing it would fail.
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidRequest(Message("request.lone-surrogate")) from None


def _without_repeats(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise InvalidRequest(Message("request.repeated-key", key=twice), field=twice)
    return found


def _refuse_constant(name: str) -> JsonValue:
    raise InvalidRequest(Message("request.no-json-number", name=name))


def _not_json(given: str) -> NotJson:
    detail = Message("request.other-media-type", media=given[:100]) if given else Message("request.no-media-type")
    return NotJson(detail, field="Content-Type")


def _too_slow(watch: PaceWatch, pace: BodyPace, what: ContentKind, *, over: bool) -> RequestTimeout:
    if over:
        return RequestTimeout(Message("request.took-too-long", seconds=pace.most_seconds, what=_CONTENTS[what]))
    return RequestTimeout(
        Message(
            "request.came-too-slowly",
            least=pace.window_bytes,
            received=watch.window_bytes,
            seconds=pace.window_seconds,
            what=_CONTENTS[what],
        )
    )


def too_large(what: ContentKind, max_bytes: int) -> LimitExceeded:
    """Return the error for a body, form or file of more than `max_bytes`, which names the setting."""
    if what == "piece":
        return LimitExceeded(Message("request.piece-too-large", most=max_bytes))
    setting = "CQOX_MAX_BODY_BYTES" if what == "body" else "CQOX_MAX_UPLOAD_BYTES"
    return LimitExceeded(Message("request.too-large", most=max_bytes, setting=setting, what=_CONTENTS[what]))
