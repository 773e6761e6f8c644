"""The body of a question to the engine: JSON that is refused before it is read where it holds too much to be looked at.

Bounds on bytes alone would not do: four megabytes of brackets take seconds of the event loop.
"""

from pydantic import JsonValue

from cqox.errors import InvalidRequest
from services.http.bodies import decode_json, read_body
from services.http.incoming import IncomingRequest

__all__ = ["read_question"]

_MOST_SEPARATORS = 100_000
"""Commas and opening brackets, those in names among them; the contract accepts half as many values."""


async def read_question(request: IncomingRequest, *, max_bytes: int) -> dict[str, JsonValue]:
    """The body as a JSON object.

    Raises:
        InvalidRequest: it is no JSON object, or holds more values than are accepted.
        LimitExceeded: it is larger than `max_bytes`.
        RequestTimeout: the client paused for too long (werkzeug's, 408).
    """
    body = await read_body(request, max_bytes=max_bytes)
    if sum(body.count(separator) for separator in (b",", b"[", b"{")) > _MOST_SEPARATORS:
        raise InvalidRequest(f"The body has more than {_MOST_SEPARATORS:,} commas and brackets; name fewer columns.")
    return decode_json(body, charset=request.mimetype_params.get("charset", ""))
