"""Validation of an address before any connection."""

import pytest

from cqox.storage.postgres.address import check_address, names_user


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "it must be postgresql://"),
        ("mysql://h/x", "begins with mysql://"),
        ("postgresql://host:port/x", "'port' is not a port"),
        ("postgresql://host:70000/x", "'70000' is not a port"),
        ("host=h port=0", "'0' is not a port"),
        ("postgresql://h/d?colour=red", "no option 'colour'"),
        ("host=h colour=red", "no option 'colour'"),
        ("postgresql://h/d?sslmode=maybe", 'invalid sslmode value: "maybe"'),
    ],
)
def test_an_invalid_postgresql_address_is_rejected_by_setting_in_one_line(address: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^POSTGRES_URL cannot be read: ") as caught:
        check_address(address)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:p%40ss@h:5432/name",
        "postgres://h",
        "postgresql:///name?host=/run/postgresql",
        "postgresql://one:1,two:2/name?target_session_attrs=read-write",
        "postgresql://h/d?sslmode=require&options=-csearch_path%3Dx",
        "host=h dbname=d user=u",
    ],
)
def test_an_address_that_libpq_can_read_is_accepted_without_connecting(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    "address", ["mysql://u:secret@h/x", "postgresql://u:secret%zz@h/d", "u:secret@h", "postgresql://u:secret@h:x/d"]
)
def test_no_message_repeats_a_password(address: str) -> None:
    with pytest.raises(ValueError, match="cannot be read") as caught:
        check_address(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("conninfo", "named"),
    [
        ("postgresql://db/name", False),
        ("host=db dbname=name", False),
        ("postgresql://user@db/name", True),
        ("postgresql://db/name?user=x", True),
        ("host=db password=x", True),
        ("host=db passfile=/x", True),
    ],
)
def test_an_address_may_name_a_user(conninfo: str, named: bool) -> None:
    assert names_user(conninfo) is named
