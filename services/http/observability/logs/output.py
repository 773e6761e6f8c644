"""Standard output as the log writes to it: by its descriptor, whole, whatever it is."""

import os
import select
import sys
from contextlib import suppress

__all__ = ["Output"]


class Output:
    """Where lines go. What is written is written in full, however long that takes.

    Attributes:
        encoding: what bytes have to be in.
        is_terminal: whether a person looks at it.
    """

    def __init__(self) -> None:
        self.encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        self.is_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._descriptor = -1
        self._is_torn = False
        # There is none below a stream that a test or a notebook has put in its place.
        with suppress(AttributeError, OSError, ValueError):
            sys.stdout.flush()
            self._descriptor = sys.stdout.fileno()

    def write(self, data: bytes) -> None:
        """Write all of it, which ends with a line; waits for as long as nobody reads.

        Raises:
            OSError: it takes no more.
        """
        if self._descriptor < 0:
            sys.stdout.write(data.decode(self.encoding))
            sys.stdout.flush()
            return
        # What an earlier failure left is no beginning of this line.
        rest = memoryview(b"\n" + data if self._is_torn else data)
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except BlockingIOError:
                # Whoever shares the pipe or the terminal may have made it so.
                select.select((), (self._descriptor,), ())
                continue
            rest = rest[written:]
            self._is_torn = bool(rest)
