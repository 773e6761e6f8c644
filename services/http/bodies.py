"""The body of a request as JSON, read with bounds on its size, its depth and the client's patience."""

import json
import re
from collections import Counter
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import trio
from pydantic import JsonValue
from werkzeug.exceptions import RequestTimeout

from cqox.errors import InvalidRequest, LimitExceeded

if TYPE_CHECKING:
    from services.http.incoming import IncomingRequest

__all__ = ["chunks_of", "declared_length", "decode_json", "read_body", "read_json"]

_MOST_LEVELS = 100
_NESTING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def declared_length(request: "IncomingRequest", *, max_bytes: int, what: str) -> int | None:
    """The length that the client announces, None where it announces none.

    Raises:
        LimitExceeded: it announces more than is accepted, so that nothing need be read.
    """
    length = request.content_length
    if length is not None and length > max_bytes:
        raise _too_large(what, max_bytes)
    return length


async def chunks_of(
    request: "IncomingRequest", *, max_bytes: int, idle_seconds: float, what: str = "body"
) -> AsyncGenerator[bytes]:
    """The body in the pieces in which it arrives; close it with `aclosing` where it is not read to its end.

    Args:
        request: the request.
        max_bytes: the largest body that is accepted.
        idle_seconds: how long the client may pause.
        what: what is being sent, for messages.

    Raises:
        LimitExceeded: the body is larger.
        RequestTimeout: the client paused for longer (werkzeug's, 408).
    """
    declared_length(request, max_bytes=max_bytes, what=what)
    total = 0
    while True:
        try:
            if request.body.at_hand:
                data = await anext(request.body)
            else:
                with trio.fail_after(idle_seconds):
                    data = await anext(request.body)
        except trio.TooSlowError:
            raise RequestTimeout(f"No byte of the {what} arrived for {idle_seconds:g} s.") from None
        except StopAsyncIteration:
            return
        total += len(data)
        if total > max_bytes:
            raise _too_large(what, max_bytes)
        yield data


async def read_body(request: "IncomingRequest", *, max_bytes: int, idle_seconds: float = 60.0) -> bytes:
    """The whole body.

    Raises:
        LimitExceeded: it is larger than `max_bytes`.
        RequestTimeout: the client paused for longer than `idle_seconds` (werkzeug's, 408).
    """
    return b"".join([data async for data in chunks_of(request, max_bytes=max_bytes, idle_seconds=idle_seconds)])


async def read_json(request: "IncomingRequest", *, max_bytes: int, idle_seconds: float = 60.0) -> dict[str, JsonValue]:
    """The body as a JSON object.

    The content type is not asked for: `curl -d` sends JSON as a form.

    Raises:
        InvalidRequest: it is empty, no JSON, no object, nested too deep, or names a key twice in one object.
        LimitExceeded: it is larger than `max_bytes`.
        RequestTimeout: the client paused for longer than `idle_seconds` (werkzeug's, 408).
    """
    body = await read_body(request, max_bytes=max_bytes, idle_seconds=idle_seconds)
    return decode_json(body, charset=request.mimetype_params.get("charset", ""))


def decode_json(body: bytes, *, charset: str = "") -> dict[str, JsonValue]:
    """Bytes as a JSON object.

    Args:
        body: the bytes.
        charset: what the content type says; without it UTF-8, UTF-16 and UTF-32 are told apart by their first bytes.

    Raises:
        InvalidRequest: they are empty, no JSON, no object, nested too deep, or name a key twice in one object.
    """
    text = _decoded(body, charset)
    if not text.strip():
        raise InvalidRequest("The body is empty; send a JSON object.")
    _check_depth(text)
    try:
        value: JsonValue = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidRequest(f"The body is not JSON: {error.msg.lower()} at {where}.") from None
    except ValueError as error:
        raise InvalidRequest(f"The body holds a number that cannot be read: {error}.") from None
    if not isinstance(value, dict):
        kind = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
        raise InvalidRequest(f"The body must be a JSON object, not {kind.get(type(value), 'a number')}.")
    _check_characters(text, value)
    return value


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset or json.detect_encoding(body))
    except LookupError:
        raise InvalidRequest(f"There is no charset '{charset[:50]}'; send UTF-8.") from None
    except UnicodeError as error:
        at = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise InvalidRequest(f"The body is not {charset or 'UTF-8'}{at}; send JSON as UTF-8.") from None


def _check_depth(text: str) -> None:
    # The parser recurses once for each level: without this a few kilobytes of brackets exhaust its stack.
    if text.count("[") + text.count("{") <= _MOST_LEVELS:
        return
    depth = 0
    for match in _NESTING.finditer(text):
        token = match.group()
        if token in "[{":
            depth += 1
            if depth > _MOST_LEVELS:
                raise InvalidRequest(f"The body is nested more than {_MOST_LEVELS} levels deep.")
        elif token in "]}":
            depth -= 1


def _check_characters(text: str, value: JsonValue) -> None:
    # JSON can spell half of a surrogate pair, which no encoding can: it would break wherever it is stored.
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidRequest("The body holds half of a surrogate pair (\\ud800 to \\udfff alone).") from None


def _without_repeats(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise InvalidRequest(f"The key '{twice}' appears twice in one object; keep one of the two.", field=twice)
    return found


def _refuse_constant(name: str) -> JsonValue:
    raise InvalidRequest(f"The body holds {name}, which is not JSON; leave the field out or use null.")


def _too_large(what: str, max_bytes: int) -> LimitExceeded:
    return LimitExceeded(f"The {what} is larger than the {max_bytes:,} bytes that are accepted.")
