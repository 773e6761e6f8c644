"""Every backend has the methods of its contract; what they promise is in the suites that run on every backend."""

import inspect
from typing import get_protocol_members

import pytest

from cqox.storage import SqliteStore
from cqox.storage.contracts import ResultDatabase, ResultStore
from cqox.storage.postgres import PostgresStore


def parameters(owner: type, name: str) -> list[tuple[object, ...]]:
    signature = inspect.signature(getattr(owner, name))
    return [(each.name, each.kind, each.default) for each in signature.parameters.values()]


@pytest.mark.parametrize(
    ("contract", "backend", "known"),
    [
        (ResultStore, SqliteStore, "load"),
        (ResultStore, PostgresStore, "load"),
        (ResultDatabase, SqliteStore, "ping"),
        (ResultDatabase, PostgresStore, "ping"),
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
    assert "within" in get_protocol_members(ResultDatabase)
    assert not get_protocol_members(ResultStore) & get_protocol_members(ResultDatabase)
