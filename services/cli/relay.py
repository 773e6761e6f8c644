"""Output of services to the terminal on a thread of its own.

A stopped terminal or an unread pipe so blocks neither the services nor their supervisor.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from rich.text import Text

__all__ = ["Relay"]

_MOST_LINES = 10_000


class Relay:
    """A queue of lines and the thread that prints them in order.

    Args:
        output: prints a line; may block for ever.
    """

    def __init__(self, output: Callable[[Text], None]) -> None:
        self._output = output
        self._queue: SimpleQueue[Text | threading.Event] = SimpleQueue()
        self._lost = 0
        threading.Thread(target=self._run, name="relay", daemon=True).start()

    def put(self, line: Text) -> None:
        """Queue a line, or drop and count it where the queue is full; never blocks."""
        if self._queue.qsize() >= _MOST_LINES:
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            self._queue.put(Text(f"{lost} lines were dropped here: the output was not read.", style="bold"))
        self._queue.put(line)

    def flush(self, seconds: float) -> bool:
        """Wait up to `seconds` until all queued lines are printed; return whether they are."""
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(seconds)

    def _run(self) -> None:
        while True:
            match self._queue.get():
                case threading.Event() as reached:
                    reached.set()
                case line:
                    self._output(line)
