"""Complete writes to standard output's descriptor, whatever kind of stream it is."""

import errno
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from services.http.observability.logs.output import Output


def test_a_stream_without_a_descriptor_is_written_to_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    Output().write(b"words\n")
    assert capsys.readouterr().out == "words\n"


@pytest.fixture
def output_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Output]]:
    """Make a descriptor standard output; it is closed at the end of the test."""
    streams: list[io.TextIOWrapper] = []

    def make(descriptor: int) -> Output:
        streams.append(io.TextIOWrapper(os.fdopen(descriptor, "wb", 0), encoding="latin-1"))
        monkeypatch.setattr(sys, "stdout", streams[-1])
        return Output()

    yield make
    monkeypatch.undo()
    for stream in streams:
        stream.close()


def test_a_pipe_is_no_terminal_and_has_the_encoding_of_its_stream(output_to) -> None:
    reading, writing = os.pipe()
    output = output_to(writing)
    output.write(b"words\n")
    assert (output.encoding, output.is_terminal) == ("latin-1", False)
    assert os.read(reading, 100) == b"words\n"
    os.close(reading)


def test_a_non_blocking_pipe_gets_all_of_a_large_write(output_to) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    output = output_to(writing)
    got: list[bytes] = []

    def read() -> None:
        while sum(map(len, got)) < 1_000_000:
            got.append(os.read(reading, 65_536))

    reader = threading.Thread(target=read)
    reader.start()
    output.write(b"x" * 999_999 + b"\n")
    reader.join()
    os.close(reading)
    assert b"".join(got) == b"x" * 999_999 + b"\n"


def test_the_line_that_a_failure_tore_is_ended_before_the_next(output_to, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    results = [3, OSError(errno.ENOSPC, "full"), 5, 5]

    def write(descriptor: int, data: memoryview) -> int:
        result = results.pop(0)
        if isinstance(result, OSError):
            raise result
        written.append(bytes(data[:result]))
        return result

    output = output_to(os.open(os.devnull, os.O_WRONLY))
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="full"):
        output.write(b"lost\n")
    output.write(b"new\n")
    output.write(b"more\n")
    assert b"".join(written) == b"los\nnew\nmore\n"
