import json
import time
from contextlib import aclosing

import pytest
import trio
import trio.testing
from werkzeug.exceptions import RequestTimeout

from cqox.errors import BodyCorrupted, InvalidRequest, LimitExceeded
from services.http.request.bodies import chunks_of, decode_json, read_body, read_json
from services.http.request.digests import content_digest
from services.http.request.request import IncomingRequest


def request_with(*chunks: bytes, ended: bool = True, **headers: str) -> IncomingRequest:
    from werkzeug.datastructures import Headers

    headers = {"Content-Type": "application/json"} | headers
    scope = {"type": "http", "headers": [], "query_string": b""}
    request = IncomingRequest("POST", "http", "/", b"", Headers(headers), "", "1.1", scope, send_push_promise=None)
    for chunk in chunks:
        request.body.set_result(chunk)
    if not ended:
        request.body._ended = False
    return request


def test_an_object_is_read_as_it_is():
    assert decode_json('{"あ": [1, 2.5, null, true, "x"]}'.encode()) == {"あ": [1, 2.5, None, True, "x"]}


def test_other_encodings_of_unicode_are_detected():
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        assert decode_json('{"a": "あ"}'.encode(encoding)) == {"a": "あ"}


def test_a_charset_of_the_content_type_is_followed():
    assert decode_json('{"a": "あ"}'.encode("cp932"), charset="cp932") == {"a": "あ"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"[1]", "not an array"),
        (b'"x"', "not a string"),
        (b"null", "not null"),
        (b"true", "not true or false"),
        (b"1", "not a number"),
        (b'{"a": 1,}', "line 1, column 8"),
        (b'{"a":\n  nope}', "line 2, column 3"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": "\xff"}', "not valid UTF-8 at byte 7"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'{"a": ' + b"1" * 5000 + b"}", "number that cannot be parsed"),
        (b"y=1&w=2", "not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused_with_the_reason(body, said):
    with pytest.raises(InvalidRequest) as caught:
        decode_json(body)
    assert said in caught.value.detail


def test_a_charset_that_does_not_exist_is_the_clients_mistake():
    with pytest.raises(InvalidRequest, match="charset"):
        decode_json(b"{}", charset="klingon")


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "rot13", "utf-7", "a\0b", "\ud800"])
def test_an_unsupported_charset_is_rejected_before_decoding(charset):
    # Of Python's own, Punycode takes time that grows with the square of the length: half an hour for four megabytes.
    with pytest.raises(InvalidRequest, match="charset"):
        decode_json(b"a" * 2**15 + b"-" + b"b" * 2**15, charset=charset)


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("Windows-1252", "cp1252"),
        ("ISO-8859-1", "latin1"),
        ("shift_jis", "cp932"),
        ("EUC-JP", "euc_jp"),
        ("UTF-16LE", "utf-16-le"),
        ("utf8", "utf-8"),
    ],
)
def test_a_charset_is_known_by_the_names_that_clients_write(charset, encoding):
    text = "é" if "1" in charset and "UTF" not in charset else "あ"
    assert decode_json(json.dumps({"a": text}, ensure_ascii=False).encode(encoding), charset=charset) == {"a": text}


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16le", "utf-16be", "utf-32le"])
def test_a_mark_of_the_byte_order_is_no_part_of_the_text_where_the_charset_is_named(charset):
    body = '{"a": "\ufeffあ"}'.encode(charset)
    marked = body if charset in ("utf-8-sig", "utf-16") else "\ufeff".encode(charset) + body
    assert decode_json(marked, charset=charset) == {"a": "\ufeffあ"}


def test_a_surrogate_pair_is_one_character_and_an_escaped_backslash_is_none():
    assert decode_json(b'{"a": "\\ud83d\\ude00", "b": "\\\\ud800"}') == {"a": "😀", "b": "\\ud800"}


def test_a_key_that_comes_twice_in_one_object_is_named():
    with pytest.raises(InvalidRequest, match="'y' appears twice") as caught:
        decode_json(b'{"mapping": {"y": "a", "w": "b", "y": "c"}}')
    assert caught.value.field == "y"
    assert decode_json(b'{"a": {"y": 1}, "b": {"y": 2}}') == {"a": {"y": 1}, "b": {"y": 2}}


@pytest.mark.parametrize("levels", [101, 20_000, 1_000_000])
@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
def test_nesting_beyond_any_use_is_refused(levels, opening, closing):
    for body in (opening * levels + b"1" + closing * levels, opening * levels):
        with pytest.raises(InvalidRequest, match="levels deep"):
            decode_json(body)


def test_wide_is_not_deep_and_brackets_within_strings_do_not_count():
    wide = {"a": [{"b": []} for _ in range(1000)], "s": "[" * 500, "q": '\\"[[' * 300}
    assert decode_json(json.dumps(wide).encode()) == wide


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b'{"a":[' + b"[]," * 1_300_000 + b"[]]}", "more than 100,000 commas", id="wide"),
        pytest.param(b'{"a":[' + b",".join([b"[" * 95 + b"]" * 95] * 22_000) + b"]}", "more than 100,000", id="deep"),
        pytest.param(b"[" * 90 + b"[]" * 20 + b'"' + b'\\"' * 40_000, "not JSON", id="a string without an end"),
        pytest.param(b"[]" * 60 + b'""' * 2_000_000, "not JSON", id="strings"),
        pytest.param(b"[]" * 60 + b"]" * 4_000_000, "not JSON", id="closing"),
    ],
)
def test_four_megabytes_of_nonsense_are_refused_in_no_time(body, said):
    began = time.thread_time()
    with pytest.raises(InvalidRequest, match=said):
        decode_json(body)
    # A few hundredths; seconds where all of it is looked at.
    assert time.thread_time() - began < 0.5


def test_a_deep_but_bearable_body_is_read():
    body: object = 1
    for _ in range(99):
        body = [body]
    assert decode_json(json.dumps({"a": body}).encode()) == {"a": body}


@pytest.mark.trio
async def test_a_body_is_read_in_the_pieces_in_which_it_comes():
    assert await read_json(request_with(b'{"a"', b": 1}"), max_bytes=100) == {"a": 1}


@pytest.mark.trio
async def test_a_body_larger_than_announced_or_accepted_is_refused():
    with pytest.raises(LimitExceeded, match=r"10 bytes\. .* CQOX_MAX_BODY_BYTES"):
        await read_body(request_with(b"12345", b"678901"), max_bytes=10)
    with pytest.raises(LimitExceeded, match=r"10 bytes\. .* CQOX_MAX_BODY_BYTES"):
        await read_body(request_with(ended=False, **{"Content-Length": "11"}), max_bytes=10)
    assert await read_body(request_with(b"1234567890"), max_bytes=10) == b"1234567890"


@pytest.mark.trio
async def test_a_stalled_client_is_answered_408_once_its_time_is_up(autojump_clock):
    began = trio.current_time()
    with pytest.raises(RequestTimeout, match="1 bytes in 15 s, where at least 15,360 are required"):
        await read_body(request_with(b"1", ended=False), max_bytes=10)
    assert trio.current_time() - began == pytest.approx(15)


@pytest.mark.trio
async def test_what_came_is_counted_also_where_the_stall_is_noticed_late(mock_clock):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(jump, mock_clock, 0.02, 60.0)
        with pytest.raises(RequestTimeout, match="1 bytes in 15 s, where at least 15,360 are required"):
            await read_body(request_with(b"1", ended=False), max_bytes=10)


async def jump(clock, *times: float) -> None:
    for seconds in times:
        await trio.testing.wait_all_tasks_blocked()
        clock.jump(seconds)


async def sent(body, pieces, every: float) -> None:
    for piece in pieces:
        await body.put(piece)
        await trio.sleep(every)
    body.set_complete()


@pytest.mark.trio
@pytest.mark.parametrize(
    ("piece", "every", "count", "cut_after"),
    [
        # A short body may take as long as it likes within the first window.
        (1, 1, 14, None),
        (1, 1, 100, 15),
        # At the least pace exactly, in pieces of any size, and just below it.
        (1024, 1, 100, None),
        (15 * 1024, 14, 10, None),
        (1000, 1, 100, 15),
        # A burst pays for one window, and no more.
        (10**6, 14.9, 5, None),
        (10**6, 15.1, 5, 15),
    ],
)
async def test_a_body_must_flow(autojump_clock, piece, every, count, cut_after):
    request, began = request_with(ended=False), trio.current_time()

    async def read() -> int:
        return len(await read_body(request, max_bytes=10**9))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sent, request.body, [bytes(piece)] * count, every)
        if cut_after is None:
            assert await read() == piece * count
            return
        with pytest.raises(RequestTimeout, match="too slowly"):
            await read()
        assert trio.current_time() - began == pytest.approx(cut_after, abs=0.1)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_body_that_flows_for_ever_is_cut_after_an_hour(autojump_clock):
    request, began = request_with(ended=False), trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sent, request.body, [bytes(20_000)] * 1000, 5)
        with pytest.raises(RequestTimeout, match="took more than 3600 s"):
            await read_body(request, max_bytes=10**9)
        assert trio.current_time() - began == pytest.approx(3600, abs=6)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_client_is_not_blamed_for_a_slow_reader(autojump_clock):
    request, total = request_with(ended=False), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sent, request.body, [bytes(100_000)] * 50, 0)
        async with aclosing(chunks_of(request, max_bytes=10**9)) as chunks:
            async for chunk in chunks:
                total += len(chunk)
                await trio.sleep(30)
    assert total == 5_000_000


@pytest.mark.trio
async def test_bytes_that_come_one_by_one_are_read_in_pieces(autojump_clock):
    request, pieces = request_with(ended=False), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sent, request.body, [b"x"] * 50_000, 0.0001)
        async with aclosing(chunks_of(request, max_bytes=10**6)) as chunks:
            async for chunk in chunks:
                pieces.append(len(chunk))
    assert sum(pieces) == 50_000
    assert len(pieces) < 300


@pytest.mark.trio
async def test_a_body_is_held_to_the_digest_that_came_with_it():
    good = content_digest(b"{}")
    assert await read_body(request_with(b"{}", **{"Content-Digest": good}), max_bytes=10) == b"{}"
    assert await read_body(request_with(b"{}", **{"Content-Digest": "md5=:AA==:"}), max_bytes=10) == b"{}"
    with pytest.raises(BodyCorrupted, match="Send the request again"):
        await read_body(request_with(b"{ }", **{"Content-Digest": good}), max_bytes=10)
