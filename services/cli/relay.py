"""Lines of services on their way to the terminal: printed by a thread of their own, so that a terminal that is stopped,
or a pipe that nobody reads, stops neither the services nor their supervisor.
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
        tell: prints one; may wait for ever.
    """

    def __init__(self, tell: Callable[[Text], None]) -> None:
        self._tell = tell
        self._queue: SimpleQueue[Text | threading.Event] = SimpleQueue()
        self._lost = 0
        threading.Thread(target=self._run, name="relay", daemon=True).start()

    def put(self, line: Text) -> None:
        """Queue a line, or count it as lost where too many wait; never waits."""
        if self._queue.qsize() >= _MOST_LINES:
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            self._queue.put(Text(f"{lost} lines were left out here: nobody read what was printed.", style="bold"))
        self._queue.put(line)

    def flush(self, seconds: float) -> bool:
        """Wait until everything that was queued before is printed, or for so long; whether it is."""
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(seconds)

    def _run(self) -> None:
        while True:
            match self._queue.get():
                case threading.Event() as reached:
                    reached.set()
                case line:
                    self._tell(line)
