"""Standard streams of the command line: output that cannot be written, closed streams, and encodings."""

import io
import os
import sys
from collections.abc import Buffer

__all__ = ["is_of_output", "open_streams", "release_output"]

_OUTPUT = 1
_ERRORS = 2


def open_streams() -> None:
    """Make the standard streams usable for a command.

    A character that the encoding of standard output lacks is replaced, as an incomplete answer is better than none. A
    stream that the caller has closed (`>&-`) is opened, so that no file of the command takes its number: standard
    output fails at the first write, as it does for other programs, and what goes to standard error is dropped.
    """
    for number in range(_ERRORS + 1):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == _ERRORS else os.O_RDONLY)
    given = sys.stdout
    if given is None:
        sys.stdout = _text(os.open(os.devnull, os.O_RDONLY), encoding="utf-8", errors="replace")
    elif isinstance(given, io.TextIOWrapper):
        given.flush()
        errors = given.errors or "strict"
        sys.stdout = _text(_OUTPUT, encoding=given.encoding, errors="replace" if errors == "strict" else errors)
    if sys.stderr is None:
        sys.stderr = open(_ERRORS, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


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


def _text(number: int, *, encoding: str, errors: str) -> io.TextIOWrapper:
    raw = _Watched(number, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=raw.isatty())
