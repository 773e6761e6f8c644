import zlib

import httpx
import pytest

from cqox.resilience.propagation.http import propagate_sync
from cqox.resilience.runtime.criticality import Criticality, current_criticality
from services.http.request.propagation import (
    Received,
    is_client_deadline,
    is_exchange,
    is_own_key,
    new_exchange,
    own_key,
    serving,
)


def test_exchange_ids_and_keys_are_random_and_recognised() -> None:
    assert is_exchange(new_exchange())
    assert is_own_key(own_key())
    assert len({new_exchange() for _ in range(50)} | {own_key() for _ in range(50)}) == 100
    assert not is_own_key("mine")


@pytest.mark.parametrize("value", [None, "", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "0" * 32 + "\n"])
def test_any_other_value_is_no_exchange_id(value: str | None) -> None:
    assert not is_exchange(value)


def test_what_was_received_is_the_size_and_checksum_of_the_body_however_it_came() -> None:
    received = Received()
    assert (bool(received), str(received)) == (False, "0-00000000")
    for piece in (b"a ", b"", b"body"):
        received.take(piece)
    assert bool(received)
    assert str(received) == f"6-{zlib.crc32(b'a body'):08x}"


def test_calls_of_a_request_have_its_attempt_and_criticality_inside_the_block_only() -> None:
    def attempt() -> str | None:
        request = httpx.Request("GET", "http://engine/")
        propagate_sync(request)
        return request.headers.get("X-Retry-Attempt")

    before = current_criticality()
    with serving([(b"x-retry-attempt", b"2"), (b"x-criticality", b"sheddable")]):
        assert (attempt(), current_criticality()) == ("2", Criticality.SHEDDABLE)
    assert (attempt(), current_criticality()) == (None, before)


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ({}, False),
        ({"X-Request-Timeout-Ms": "2000"}, True),
        ({"x-request-timeout-ms": "0"}, True),
        ({"X-Request-Timeout-Ms": "120000"}, False),
        ({"X-Request-Timeout-Ms": "soon"}, False),
        ({"x-envoy-expected-rq-timeout-ms": "2000"}, False),
        ({"X-Request-Timeout-Ms": "3000", "x-envoy-expected-rq-timeout-ms": "2000"}, False),
        ({"X-Request-Timeout-Ms": "1000", "x-envoy-expected-rq-timeout-ms": "2000"}, True),
    ],
)
def test_only_a_shorter_deadline_that_the_client_wrote_itself_is_its_own(fields: dict[str, str], chosen: bool) -> None:
    assert is_client_deadline(fields.items(), most=120.0) is chosen
    encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
    assert is_client_deadline(encoded, most=120.0) is chosen
