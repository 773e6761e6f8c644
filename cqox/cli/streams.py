"""Standard streams of the command line: output that cannot be written, closed streams, and encodings."""

import io
import os
import sys
from collections.abc import Buffer
from typing import TextIO

__all__ = ["is_of_output", "open_streams", "release_output"]

_OUTPUT = 1
_ERRORS = 2


def open_streams() -> None:
    """Make the standard streams usable for a command.

    A character that the encoding of standard output lacks is replaced, as an incomplete answer is better than none. A
    stream that the caller has closed (`>&-`) is opened, so that no file of the command takes its number: standard
    output fails at the first write, as it does for other programs, and what standard error does not take is dropped.
    """
    for number in range(_ERRORS + 1):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == _ERRORS else os.O_RDONLY)
    sys.stdout = _opened(sys.stdout, _Watched, _OUTPUT, errors="replace")
    sys.stderr = _opened(sys.stderr, _Lenient, _ERRORS, errors="backslashreplace")


def is_of_output(error: BaseException) -> bool:
    """Return whether an error is that of writing to the standard output which `open_streams` opened."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Watched) and error is raw.failure


def release_output() -> None:
    """Discard what standard output still holds; the end of the interpreter would fail to write it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class _Watched(io.FileIO):
    """A file that keeps its last error of writing; its handlers can then say what could not be written."""

    failure: OSError | None = None

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


class _Lenient(io.FileIO):
    """A file that drops what a full disk does not take: progress that cannot be shown is no reason to stop."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError:
            return memoryview(data).nbytes


def _opened(given: TextIO | None, form: type[io.FileIO], number: int, *, errors: str) -> TextIO:
    """Return a standard stream again as a file of a form; one that is no file stays."""
    if given is None:
        closed = os.open(os.devnull, os.O_RDONLY if number == _OUTPUT else os.O_WRONLY)
        return _text(form(closed, "w", closefd=False), encoding="utf-8", errors=errors)
    if not isinstance(given, io.TextIOWrapper):
        return given
    given.flush()
    kept = given.errors if given.errors and given.errors != "strict" else errors
    return _text(form(number, "w", closefd=False), encoding=given.encoding, errors=kept)


def _text(raw: io.FileIO, *, encoding: str, errors: str) -> io.TextIOWrapper:
    line_buffering = raw.isatty() or isinstance(raw, _Lenient)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=line_buffering)
