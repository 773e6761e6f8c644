"""The server that an address names, without who asks it."""

import pytest

from cqox.storage.postgres.address import server_of
from cqox.storage.server_address import ServerAddress


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        ("postgresql://me:secret@db:5433/cqox", ("db", 5433, "cqox")),
        ("postgresql://db/cqox", ("db", 5432, "cqox")),
        ("postgresql://a:1,b:2/cqox", ("a", 1, "cqox")),
        ("host=/run/postgresql dbname=cqox", ("/run/postgresql", None, "cqox")),
        ("dbname=cqox", ("", None, "cqox")),
        ("postgresql://[::1]:5433/cqox", ("::1", 5433, "cqox")),
    ],
)
def test_a_server_is_named_by_host_port_and_database(conninfo: str, expected: tuple[str, int | None, str]) -> None:
    host, port, namespace = expected
    found = server_of(conninfo)
    assert found == ServerAddress(host=host, port=port, namespace=namespace)
    assert "secret" not in repr(found)
