"""Every record is one bounded line; logging never blocks or raises."""

import json
import logging
import math
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox import telemetry
from services.http.observability.logs.lines import console_line, json_line
from services.http.observability.logs.output import Output
from services.http.observability.logs.snapshot import Entry, snapshot
from services.http.observability.logs.writer import Writer

RENDERERS = [
    console_line("gateway", colors=False),
    json_line("gateway", ascii_only=False),
    json_line("gateway", ascii_only=True),
]


def record(message: object, *arguments: object, logger: str = "x", exc_info: object = None) -> logging.LogRecord:
    return logging.LogRecord(logger, logging.WARNING, __file__, 1, message, arguments, exc_info)  # type: ignore[arg-type]


def lines(message: object, *arguments: object) -> list[str]:
    return [render(snapshot(record(message, *arguments))) for render in RENDERERS]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(ValueError("x\ny")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(event=ANYTHING, name=st.text(), value=ANYTHING, logger=st.text())
def test_any_logged_content_is_one_line_that_can_be_encoded(event, name: str, value, logger: str) -> None:
    for render in RENDERERS:
        line = render(snapshot(record({"event": event, name: value}, logger=logger)))
        assert line.splitlines() == [line]
        assert line.isascii() or render is not RENDERERS[2]
        line.encode()
        if line.startswith("{"):
            assert json.loads(line)["service"] == "gateway"


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


def endless() -> dict[str, object]:
    endless: dict[str, object] = {}
    endless["self"] = endless
    return endless


@pytest.mark.parametrize(
    "value",
    [
        "x" * 5_000_000,
        b"x" * 5_000_000,
        ["x" * 5_000] * 100_000,
        {str(number): "x" * 5_000 for number in range(10_000)},
        10**100_000,
        ValueError("x" * 5_000_000),
        endless(),
        [[[[[[["deep"]]]]]]],
    ],
    ids=["text", "bytes", "list", "mapping", "integer", "exception", "endless", "deep"],
)
def test_a_value_is_bounded_and_says_what_is_missing(value: object) -> None:
    for line in lines({"event": "e", "value": value}):
        assert len(line) < 70_000
        assert any(word in line for word in ("left out", "left_out", "more", "bits", "list of", "dict of", "..."))


def test_a_message_is_bounded_and_keeps_head_and_tail() -> None:
    for line in lines("begin %s end", "x" * 5_000_000):
        assert len(line) < 10_000
        assert "begin x" in line
        assert "x end" in line
        assert "[... 4991818 characters left out ...]" in line


def test_many_fields_are_bounded() -> None:
    for line in lines({"event": "e", **{f"f{number}": "x" * 9_000 for number in range(1_000)}}):
        assert len(line) < 80_000
        assert "left_out" in line


def test_values_that_cannot_be_shown_and_arguments_that_do_not_fit_are_said() -> None:
    assert all("Silent that cannot be shown" in line for line in lines({"event": "e", "value": Silent()}))
    assert all("its arguments do not fit" in line for line in lines("%d", "x"))
    assert all("nan" in line for line in lines({"event": "e", "value": math.nan}))
    assert all("Decimal('1')" in line for line in lines({"event": "e", "value": Decimal(1)}))


def test_a_field_cannot_pass_for_another_one_or_for_what_is_ours() -> None:
    first, second, _ = lines({"event": "e", "detail": 'x" status=200', "service": "other", "timestamp": "never"})
    assert r'detail="x\" status=200"' in first
    assert json.loads(second)["service"] == "gateway"
    assert json.loads(second)["service_"] == "other"


def test_every_form_names_the_service_and_the_trace_where_there_is_one() -> None:
    with telemetry.server_span("GET", None, parent=None, request_id="2" * 32):
        traced = lines("x")
    for line, without in zip(traced, lines("x"), strict=True):
        assert "gateway" in line
        assert "2" * 32 in line
        assert "trace_id" in line
        assert "gateway" in without
        assert "trace_id" not in without
    assert " service=gateway trace_id=" in traced[0]


def test_a_long_secret_is_masked_also_where_it_is_cut() -> None:
    for length in (100, 4_000, 9_000, 13_000, 50_000):
        for line in lines("before Cookie: %s", "hunter2-" * (length // 8)):
            assert "hunter2" not in line


class Pipe:
    """An output of a writer that can be stopped and can fail."""

    def __init__(self) -> None:
        self.written = b""
        self.failing = False
        self.open = threading.Event()
        self.open.set()

    def write(self, data: bytes) -> None:
        assert self.open.wait(60)
        if self.failing:
            raise OSError(28, "No space left on device")
        self.written += data


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


@pytest.fixture
def put(pipe: Pipe) -> Iterator[Callable[[str], None]]:
    writer = Writer(lambda entry: entry.event.text, str.encode, pipe.write)

    def say(words: str) -> None:
        writer.put(snapshot(record(words)))

    say.flush = writer.flush  # type: ignore[attr-defined]
    yield say
    pipe.open.set()


def test_lines_are_written_in_order_and_are_out_after_a_flush(put, pipe: Pipe) -> None:
    for number in range(1_000):
        put(str(number))
    assert put.flush(60)
    assert pipe.written.split() == [b"%d" % number for number in range(1_000)]


def test_unread_output_never_blocks_and_later_the_number_of_lost_entries_is_logged(put, pipe: Pipe) -> None:
    pipe.open.clear()
    for number in range(20_000):
        put(str(number))
    assert not put.flush(0.01)
    pipe.open.set()
    assert put.flush(60)
    kept = [line for line in pipe.written.decode().splitlines() if line.isdecimal()]
    [said] = [line for line in pipe.written.decode().splitlines() if not line.isdecimal()]
    assert kept == [str(number) for number in range(len(kept))]
    assert said.startswith(f"{20_000 - len(kept)} log entries were lost: standard output is not read")
    put("later")
    assert put.flush(60)
    assert pipe.written.endswith(b"later\n")


def test_few_large_entries_fill_the_queue_as_well(put, pipe: Pipe) -> None:
    pipe.open.clear()
    for _ in range(3_000):
        put("x" * 12_000)
    pipe.open.set()
    assert put.flush(60)
    assert b"log entries were lost" in pipe.written
    assert pipe.written.count(b"x" * 12_000) < 2_000


def test_what_cannot_be_written_is_counted_and_said_once_it_can(put, pipe: Pipe) -> None:
    pipe.failing = True
    for _ in range(10):
        put("gone")
        assert put.flush(60)
    pipe.failing = False
    put("here")
    assert put.flush(60)
    assert pipe.written.decode().splitlines() == [
        "10 log entries were lost: standard output could not be written to (no space left on device)",
        "here",
    ]


def test_an_entry_that_cannot_be_rendered_does_not_end_the_log(pipe: Pipe) -> None:
    def render(entry: Entry) -> str:
        if entry.event.text == "bad":
            raise RuntimeError
        return entry.event.text

    writer = Writer(render, str.encode, pipe.write)
    for words in ("bad", "good"):
        writer.put(snapshot(record(words)))
    assert writer.flush(60)
    assert pipe.written == b"A log entry cannot be shown: RuntimeError\ngood\n"


def test_a_stream_without_a_descriptor_is_written_to_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    Output().write(b"words\n")
    assert capsys.readouterr().out == "words\n"
