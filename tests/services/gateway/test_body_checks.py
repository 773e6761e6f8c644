"""Incremental checks of a response body: which one the headers announce, and what each refuses."""

import zlib
from collections.abc import AsyncGenerator

import pytest

from services.gateway.body_checks import BodyMismatch, check_for
from services.http.request.digests import content_digest
from services.http.response.checksums import with_checks

EXCHANGE = "0123456789abcdef" * 2
BODY = b'{"estimate": 1.5}'
DIGEST = content_digest(BODY)
EVENTS = (b"event: step\ndata: {}\n\n", b"event: report\ndata: {}\n\n")


def checksum(exchange: str, digest: str, body: bytes) -> bytes:
    return f"{zlib.crc32(body, zlib.crc32(f'{exchange} {digest}\n'.encode())):08x}".encode()


def received(headers: list[tuple[bytes, bytes]], *chunks: bytes) -> bytes:
    check = check_for(headers, EXCHANGE)
    assert check is not None
    passed = b"".join(check.take(chunk) for chunk in chunks)
    check.finish()
    return passed


def refusal(headers: list[tuple[bytes, bytes]], *chunks: bytes) -> str:
    with pytest.raises(BodyMismatch) as caught:
        received(headers, *chunks)
    return caught.value.why.code


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"application/json")],
        [(b"x-cqox-checksum", b"not a checksum")],
        [(b"content-digest", b"sha-512=:abc:")],
        [(b"content-digest", b"sha-256=:short:")],
    ],
)
def test_headers_without_a_usable_digest_or_checksum_announce_no_check(headers: list[tuple[bytes, bytes]]) -> None:
    assert check_for(headers, EXCHANGE) is None


def test_a_digest_admits_exactly_its_body_in_chunks_of_any_size() -> None:
    headers = [(b"content-digest", DIGEST.encode())]
    assert received(headers, BODY[:3], b"", BODY[3:]) == BODY
    assert refusal(headers, BODY[:-1]) == "problems.answer-unlike-digest"
    assert refusal(headers) == "problems.answer-unlike-digest"
    assert received([(b"content-digest", content_digest(b"").encode())]) == b""


def test_a_digest_is_found_in_a_repeated_header() -> None:
    headers = [(b"content-digest", b"md5=:AA==:"), (b"content-digest", DIGEST.encode())]
    assert received(headers, BODY) == BODY
    assert refusal(headers, BODY + b" ") == "problems.answer-unlike-digest"


def test_a_checksum_covers_exchange_digest_and_body() -> None:
    def headers(exchange: str, digest: str) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-cqox-checksum", checksum(exchange, digest, BODY)),
            (b"content-digest", DIGEST.encode()),
        ]

    assert received(headers(EXCHANGE, DIGEST), BODY[:5], BODY[5:]) == BODY
    assert refusal(headers(EXCHANGE, DIGEST), BODY[::-1]) == "problems.answer-unlike-checksum"
    assert refusal(headers("f" * 32, DIGEST), BODY) == "problems.answer-unlike-checksum"
    assert refusal(headers(EXCHANGE, ""), BODY) == "problems.answer-unlike-checksum"


@pytest.mark.trio
async def test_events_pass_without_their_checksums_and_only_in_order_and_to_the_end() -> None:
    async def events() -> AsyncGenerator[bytes]:
        for event in EVENTS:
            yield event

    sent = [piece async for piece in with_checks(events(), EXCHANGE)]
    headers = [(b"x-cqox-checksum", b"each-event")]
    assert received(headers, b"".join(sent)) == b"".join(EVENTS)
    assert refusal(headers, sent[1], sent[0]) == "problems.event-of-other-exchange"
    assert refusal(headers, *sent[:-1]) == "problems.events-incomplete"
