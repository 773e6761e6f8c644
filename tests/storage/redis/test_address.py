"""Validation of an address before any connection."""

import pytest

from cqox.storage.redis.address import check_address


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("localhost:6379", "it must be redis://"),
        ("http://localhost", "it must be redis://"),
        ("redis:localhost", "it must be redis://"),
        ("redis://localhost:port", "host or port"),
        ("redis://localhost:0", "'0' is not a port"),
        ("redis://[::1", "host or port"),
        ("redis://h/name", "the number of a database"),
        ("redis://h/0?db=x", "'db'"),
        ("redis://h/0?colour=red", "no option 'colour'"),
        ("redis://h/0?socket_timeout=abc", "'socket_timeout'"),
        ("redis://h/0?decode_responses=true", "'decode_responses' cannot be set"),
        ("rediss://h/0?ssl_cert_reqs=maybe", "maybe"),
        ("unix://", "no socket"),
    ],
)
def test_an_invalid_redis_address_is_rejected_by_setting_in_one_line(address: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^REDIS_URL cannot be read: ") as caught:
        check_address(address)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "redis://h",
        "redis://:p%40ss@[::1]:6379/3",
        "rediss://user:pass@h:6380/0?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1",
        "redis://h/0?protocol=2&health_check_interval=5&client_name=me",
    ],
)
def test_an_address_that_redis_py_can_use_is_accepted_without_connecting(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    "address", ["mysql://u:secret@h/x", "postgresql://u:secret%zz@h/d", "u:secret@h", "postgresql://u:secret@h:x/d"]
)
def test_no_message_repeats_a_password(address: str) -> None:
    with pytest.raises(ValueError, match="cannot be read") as caught:
        check_address(address)
    assert "secret" not in str(caught.value)
