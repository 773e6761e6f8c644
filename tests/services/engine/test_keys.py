from types import SimpleNamespace
from typing import cast

import pytest
from werkzeug.datastructures import Headers

from cqox.analysis.idempotency import IdempotencyKeys
from cqox.errors import KeyReused
from cqox.security import LOCAL
from services.engine.keys import held_key, value_digest
from services.engine.state import State
from services.http.request.propagation import own_key
from services.http.request.request import IncomingRequest
from services.http.security.requester import set_principal
from tests.storage.bound import a_cache


def request_with(**headers: str) -> IncomingRequest:
    scope = {"type": "http", "headers": [], "query_string": b""}
    set_principal(scope, LOCAL)
    fields = Headers([(name.replace("_", "-"), value) for name, value in headers.items()])
    return IncomingRequest("POST", "http", "/", b"", fields, "", "1.1", scope, send_push_promise=None)


def state_with(keys: IdempotencyKeys) -> State:
    analyses = SimpleNamespace(within=lambda _: SimpleNamespace(keys=keys))
    return cast("State", SimpleNamespace(analyses=analyses))


@pytest.mark.trio
async def test_a_key_of_a_client_is_held_to_its_body_and_that_of_a_gateway_costs_no_memory() -> None:
    keys = IdempotencyKeys(a_cache())
    state = state_with(keys)
    mine = request_with(Idempotency_Key="mine")
    assert await held_key(state, mine, {"a": 1}) == "mine"
    with pytest.raises(KeyReused):
        await held_key(state, mine, {"a": 2})
    made = own_key()
    assert await held_key(state, request_with(Idempotency_Key=made), {"a": 1}) == made
    assert await held_key(state, request_with(), {"a": 1}) is None
    assert len(keys) == 1


def test_a_value_has_one_digest_however_it_is_written() -> None:
    assert value_digest({"a": 1, "b": {"c": 2, "d": 3}}) == value_digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert value_digest({"a": [1, 2]}) != value_digest({"a": [2, 1]})
