"""Every backend has the methods of its contract; what they promise is in the suites that run on every backend."""

import inspect
from typing import get_protocol_members

import pytest

from cqox.storage import MemoryCache, SqliteStore
from cqox.storage.contracts import ResultCache, ResultStore
from cqox.storage.postgres import PostgresStore
from cqox.storage.redis import RedisCache


def parameters(owner: type, name: str) -> list[tuple[object, ...]]:
    signature = inspect.signature(getattr(owner, name))
    return [(each.name, each.kind, each.default) for each in signature.parameters.values()]


@pytest.mark.parametrize(
    ("contract", "backend"),
    [
        (ResultCache, MemoryCache),
        (ResultCache, RedisCache),
        (ResultStore, SqliteStore),
        (ResultStore, PostgresStore),
    ],
)
def test_a_backend_has_each_method_of_its_contract_with_the_same_parameters(contract: type, backend: type) -> None:
    members = get_protocol_members(contract)
    assert "ping" in members
    for name in members:
        assert inspect.iscoroutinefunction(getattr(backend, name)), name
        assert parameters(backend, name) == parameters(contract, name), name
