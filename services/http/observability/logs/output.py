"""Unbuffered, complete writes of the log to standard output's descriptor."""

import os
import select
import sys
from contextlib import suppress

__all__ = ["Output"]


class Output:
    """The log's standard output. Each write is complete, however long it blocks.

    Attributes:
        encoding: the encoding of its bytes.
        is_terminal: whether it is a terminal.
    """

    def __init__(self) -> None:
        self.encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        self.is_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._descriptor = -1
        self._is_torn = False
        # A stream that a test or a notebook has substituted has no descriptor.
        with suppress(AttributeError, OSError, ValueError):
            sys.stdout.flush()
            self._descriptor = sys.stdout.fileno()

    def write(self, data: bytes) -> None:
        """Write all of the data, which is complete lines; block while the reader is slow.

        Raises:
            OSError: the descriptor cannot be written to.
        """
        if self._descriptor < 0:
            sys.stdout.write(data.decode(self.encoding))
            sys.stdout.flush()
            return
        # Terminate a line that an earlier failure left incomplete.
        rest = memoryview(b"\n" + data if self._is_torn else data)
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except BlockingIOError:
                # Another process on the pipe or terminal may have made it non-blocking.
                select.select((), (self._descriptor,), ())
                continue
            rest = rest[written:]
            self._is_torn = bool(rest)
