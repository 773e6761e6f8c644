"""The `Idempotency-Key` of a request, held to one body."""

import json

from pydantic import JsonValue

from cqox.analysis.key import digest
from services.engine.state import State
from services.http.request.propagation import is_own_key
from services.http.request.request import IncomingRequest

__all__ = ["held_key", "value_digest"]


def value_digest(value: JsonValue) -> str:
    """A digest of a JSON value, the same however it is written."""
    return digest(json.dumps(value, sort_keys=True).encode())


async def held_key(state: State, request: IncomingRequest, body: JsonValue) -> str | None:
    """The key of the request, which from now on stands for this body; None where it has none.

    Args:
        state: what the engine's routes share.
        request: the request.
        body: what it asks for.

    Raises:
        InvalidRequest: it is no key.
        KeyReused: it came with another body before.
    """
    key = request.headers.get("Idempotency-Key")
    # The gateway never gives one key to two bodies, and gives many.
    if key is not None and not is_own_key(key):
        await state.analyses.keys.bind(key, value_digest(body))
    return key
