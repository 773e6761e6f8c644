from collections.abc import AsyncGenerator, Sequence

import pytest

from services.http.response.checksums import BodyChecksum, CheckedEvents, EventMismatch, with_checks

pytestmark = pytest.mark.trio

EXCHANGE, OTHER = "0" * 32, "1" * 32
EVENTS = (b"id: 1\nevent: step\ndata: {}\n\n", b": alive\n\n", b"event: report\ndata: {}\n\n")


async def sent(events: Sequence[bytes] = EVENTS, exchange: str = EXCHANGE) -> list[bytes]:
    async def generate() -> AsyncGenerator[bytes]:
        for event in events:
            yield event

    return [piece async for piece in with_checks(generate(), exchange)]


def received(pieces: Sequence[bytes]) -> bytes:
    checked = CheckedEvents(EXCHANGE)
    passed = b"".join(checked.take(piece) for piece in pieces)
    checked.finish()
    return passed


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
async def test_events_pass_whole_and_without_their_checksums_in_pieces_of_any_size(size: int) -> None:
    data = b"".join(await sent())
    assert received([data[at : at + size] for at in range(0, len(data), size)]) == b"".join(EVENTS)


async def test_an_event_passes_as_soon_as_it_is_complete() -> None:
    first, *_ = await sent()
    checked = CheckedEvents(EXCHANGE)
    assert checked.take(first[:-1]) == b""
    assert checked.take(first[-1:]) == EVENTS[0]


async def test_no_event_of_another_exchange_position_or_stream_passes() -> None:
    good = await sent()
    foreign = await sent(exchange=OTHER)
    for spoiled in (
        [foreign[0]],
        [good[0], good[0]],
        [good[1]],
        [good[0], good[2]],
        [*good[:-1], foreign[-1]],
        [*good, good[-1]],
        [*good, b": 00000000\nevent: report\ndata: {}\n\n"],
        [EVENTS[0]],
    ):
        with pytest.raises(EventMismatch, match="does not belong to this exchange"):
            received(spoiled)


async def test_a_stream_that_ends_early_or_within_an_event_is_not_whole() -> None:
    good = await sent()
    for cut in ([], good[:-1], [*good[:-1], good[-1][:-1]], [*good, b": "]):
        with pytest.raises(EventMismatch, match="ended before the last event"):
            received(cut)


async def test_one_flipped_bit_anywhere_is_noticed() -> None:
    data = b"".join(await sent())
    for at in range(len(data)):
        for bit in (1, 16, 128):
            with pytest.raises(EventMismatch):
                received([data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]])


async def test_an_event_without_end_is_refused_before_it_fills_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.http.response.checksums._MAX_EVENT_BYTES", 1000)
    with pytest.raises(EventMismatch, match="larger than 1,000 bytes"):
        received([b"x" * 600, b"x" * 600])


async def test_the_checksum_of_a_body_is_of_the_exchange_and_the_digest_too() -> None:
    def checksum(exchange: str, digest: str, *pieces: bytes) -> str:
        made = BodyChecksum(exchange, digest)
        for piece in pieces:
            made.take(piece)
        return str(made)

    one = checksum(EXCHANGE, "sha-256=:a:", b"a body")
    assert BodyChecksum.is_one(one)
    assert one == checksum(EXCHANGE, "sha-256=:a:", b"a ", b"body")
    others = {
        checksum(OTHER, "sha-256=:a:", b"a body"),
        checksum(EXCHANGE, "sha-256=:b:", b"a body"),
        checksum(EXCHANGE, "", b"a body"),
        checksum(EXCHANGE, "sha-256=:a:", b"b body"),
    }
    assert len(others | {one}) == 5
    assert not any(BodyChecksum.is_one(value) for value in ("", "each-event", one + "0", one[1:], one.upper() + "G"))
