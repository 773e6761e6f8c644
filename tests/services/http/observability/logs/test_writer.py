"""Lines are written in order; logging never blocks or raises."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from services.http.observability.logs.snapshot import Entry, snapshot
from services.http.observability.logs.writer import Writer


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("x", logging.WARNING, __file__, 1, message, (), None)


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
