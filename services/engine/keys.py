"""Binding of each `Idempotency-Key` to one request body."""

import json

from pydantic import JsonValue

from cqox.analysis.key import digest
from services.engine.state import State
from services.engine.tenancy import tenant_of
from services.http.request.propagation import is_own_key
from services.http.request.request import IncomingRequest

__all__ = ["held_key", "value_digest"]


def value_digest(value: JsonValue) -> str:
    """Return a digest of a JSON value that does not depend on its formatting."""
    return digest(json.dumps(value, sort_keys=True).encode())


async def held_key(state: State, request: IncomingRequest, body: JsonValue) -> str | None:
    """Bind the request's idempotency key to its body and return the key; None where it has none.

    Args:
        state: the engine's shared state.
        request: the request.
        body: the content that the key is bound to.

    Raises:
        InvalidRequest: the key is malformed.
        KeyReused: the key is bound to another body.
    """
    key = request.headers.get("Idempotency-Key")
    # Keys that the gateway generates are unique, and too many to store.
    if key is not None and not is_own_key(key):
        analyses = state.analyses.within(tenant_of(request.scope))
        await analyses.keys.bind(key, value_digest(body))
    return key
