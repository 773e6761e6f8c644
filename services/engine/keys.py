"""Binding of each `Idempotency-Key` to one request body."""

import json

from pydantic import JsonValue

from cqox.analysis.key import digest
from services.engine.state import State
from services.engine.tenancy import tenant_of
from services.http.request.propagation import is_own_key
from services.http.request.request import IncomingRequest

__all__ = ["attach_key", "held_key", "value_digest"]


def value_digest(value: JsonValue) -> str:
    """Return a digest of a JSON value that does not depend on its formatting."""
    return digest(json.dumps(value, sort_keys=True).encode())


async def held_key(
    state: State, request: IncomingRequest, body: JsonValue, *, dataset_id: str | None = None
) -> str | None:
    """Bind the request's idempotency key to its body and return the key; None where it has none.

    Args:
        state: the engine's shared state.
        request: the request.
        body: the content that the key is bound to.
        dataset_id: the data set with which it is forgotten; see `attach_key` for one that is not known yet.

    Raises:
        InvalidRequest: the key is malformed.
        KeyReused: the key is bound to another body.
    """
    key = request.headers.get("Idempotency-Key")
    # Keys that the gateway generates are unique, and too many to store.
    if key is not None and not is_own_key(key):
        analyses = state.analyses.within(tenant_of(request.scope))
        await analyses.keys.bind(key, value_digest(body))
    if dataset_id is not None:
        attach_key(state, request, dataset_id)
    return key


def attach_key(state: State, request: IncomingRequest, dataset_id: str) -> None:
    """Say which data set the request's idempotency key belongs to, so that it is erased with it."""
    key = request.headers.get("Idempotency-Key")
    if key is not None:
        state.analyses.within(tenant_of(request.scope)).keys.attach(key, dataset_id)
