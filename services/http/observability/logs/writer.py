"""A thread that renders and writes entries in order.

Logging calls never block on the reader of the output: beyond a bound entries are dropped, and their number is logged
once the output can be written again. The descriptor is written to directly: a thread that hangs in a write to a
buffered file would hold that file's lock, for which interpreter exit waits.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple

from cqox.telemetry.texts import Clipped
from services.http.observability.logs.snapshot import Entry

__all__ = ["Writer"]

_MOST_ENTRIES = 16_384
_MOST_CHARACTERS = 16 * 2**20
_BATCH_ENTRIES = 128
_BATCH_BYTES = 2**16


class _Line(NamedTuple):
    data: bytes
    entries: int


class Writer:
    """A queue of entries and the thread that writes them.

    Args:
        render: returns the line of an entry, without a newline.
        encode: encodes a line to bytes.
        write: writes all bytes; may block for ever.
    """

    def __init__(
        self, render: Callable[[Entry], str], encode: Callable[[str], bytes], write: Callable[[bytes], None]
    ) -> None:
        self._render = render
        self._encode = encode
        self._write = write
        self._queue: SimpleQueue[Entry | threading.Event] = SimpleQueue()
        # Reentrant, because a signal handler may log inside `put`.
        self._lock = threading.RLock()
        # A counter for each side of the queue: the thread needs no lock to update its own.
        self._came = self._taken = 0
        self._lost = 0
        self._reason = ""
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Queue an entry, or drop and count it where the queue is full; never block."""
        with self._lock:
            if self._queue.qsize() >= _MOST_ENTRIES or self._came - self._taken > _MOST_CHARACTERS:
                self._lost += 1
                self._reason = "standard output is not read, or not fast enough"
                return
            if self._lost:
                self._queue.put(self._notice())
            self._came += entry.size
            self._queue.put(entry)

    def flush(self, seconds: float) -> bool:
        """Wait up to `seconds` until all queued entries are written; return whether they are."""
        if threading.current_thread() is self._thread:
            return False
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(seconds)

    def _run(self) -> None:
        while True:
            reached = self._write_batch(self._queue.get())
            if self._lost and self._queue.empty():
                self._write_lines([self._line(self._notice())])
            if reached is not None:
                reached.set()

    def _write_batch(self, first: Entry | threading.Event) -> threading.Event | None:
        lines: list[_Line] = []
        reached, size = None, 0
        for one in self._batch(first):
            if isinstance(one, threading.Event):
                reached = one
                break
            line = self._line(one)
            lines.append(line)
            self._taken += one.size
            size += len(line.data)
            if size > _BATCH_BYTES:
                break
        self._write_lines(lines)
        return reached

    def _batch(self, first: Entry | threading.Event) -> Iterator[Entry | threading.Event]:
        yield first
        with suppress(Empty):
            for _ in range(_BATCH_ENTRIES):
                yield self._queue.get_nowait()

    def _line(self, entry: Entry) -> _Line:
        try:
            data = self._encode(self._render(entry) + "\n")
        except Exception as error:  # noqa: BLE001 - the root of this thread: one entry must not end the log
            data = self._encode(f"A log entry cannot be shown: {type(error).__name__}\n")
        return _Line(data, entry.stands_for)

    def _write_lines(self, lines: list[_Line]) -> None:
        if not lines:
            return
        try:
            self._write(b"".join(line.data for line in lines))
        except (OSError, ValueError) as error:
            with self._lock:
                self._lost += sum(line.entries for line in lines)
                said = getattr(error, "strerror", None) or type(error).__name__
                self._reason = f"standard output could not be written to ({said.lower()})"

    def _notice(self) -> Entry:
        with self._lock:
            lost, self._lost = self._lost, 0
            entries = "log entry was" if lost == 1 else "log entries were"
            words = f"{lost} {entries} lost: {self._reason}"
        return Entry(
            at=time.time(),
            level="warning",
            logger="cqox.logs",
            event=Clipped(words, 0),
            fields={"lost": lost},
            trace={},
            size=0,
            stands_for=lost,
        )
