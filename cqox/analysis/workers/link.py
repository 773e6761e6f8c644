"""The worker's end of its private socket: frames in, frames out, blocking."""

import socket
import threading
from collections import deque
from collections.abc import Iterator

from cqox.analysis.workers.protocol import Decoder, Frame

__all__ = ["Link", "TaskCancelled"]

_RECEIVE_BYTES = 256 * 1024


class TaskCancelled(BaseException):
    """The engine no longer wants the task; no part of the task may take this for a failure of its own."""


class Link:
    """The private socket to the parent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._decoder = Decoder()
        self._frames: deque[Frame] = deque()
        self._whole = threading.Lock()

    def send(self, message: bytes) -> None:
        """Send an encoded frame, not mixed with those of other threads."""
        with self._whole:
            self._connection.sendall(message)

    def tasks(self) -> Iterator[Frame]:
        """Yield each task, until the parent closes the socket."""
        while True:
            while self._frames:
                frame = self._frames.popleft()
                # The cancellation of a task that had answered already comes when it is of no use any more.
                if frame.kind == "task":
                    yield frame
            data = self._connection.recv(_RECEIVE_BYTES)
            if not data:
                return
            self._frames.extend(self._decoder.feed(data))

    def raise_if_cancelled(self, job: int) -> None:
        """Return at once unless the parent has cancelled this job.

        Raises:
            TaskCancelled: it has.
        """
        try:
            data = self._connection.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        self._frames.extend(self._decoder.feed(data))
        if any(frame.kind == "cancel" and frame.job == job for frame in self._frames):
            raise TaskCancelled
