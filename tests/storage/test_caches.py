"""Every cache has the methods of its contract; what they promise is in the suites that run on every backend."""

import inspect
from typing import get_protocol_members

import pytest

from cqox.storage import MemoryCache
from cqox.storage.caches import ResultCache, SharedCache
from cqox.storage.redis import RedisCache
from tests.storage.test_contracts import parameters


@pytest.mark.parametrize(
    ("contract", "backend", "known"),
    [
        (ResultCache, MemoryCache, "get"),
        (ResultCache, RedisCache, "get"),
        (SharedCache, MemoryCache, "ping"),
        (SharedCache, RedisCache, "ping"),
    ],
)
def test_a_backend_has_each_method_of_its_contract_with_the_same_parameters(
    contract: type, backend: type, known: str
) -> None:
    members = get_protocol_members(contract)
    assert known in members
    for name in members:
        if isinstance(getattr(contract, name), property):
            assert isinstance(getattr(backend, name), property), name
            continue
        assert inspect.iscoroutinefunction(getattr(backend, name)) is (name != "within"), name
        assert parameters(backend, name) == parameters(contract, name), name


def test_no_method_on_the_data_of_a_tenant_is_one_of_what_all_tenants_have() -> None:
    assert "within" in get_protocol_members(SharedCache)
    assert not get_protocol_members(ResultCache) & get_protocol_members(SharedCache)
