"""Worker side of the private socket: blocking frames in and out."""

import socket
import threading
from collections import deque
from collections.abc import Iterator

from cqox.analysis.workers.protocol import Decoder, Frame

__all__ = ["Link", "TaskCancelled"]

_RECEIVE_BYTES = 256 * 1024


class TaskCancelled(BaseException):
    """The engine has abandoned the task; no part of the task may handle this as an error of its own."""


class Link:
    """Private socket to the parent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._decoder = Decoder()
        self._frames: deque[Frame] = deque()
        self._whole = threading.Lock()

    def send(self, message: bytes) -> None:
        """Send an encoded frame atomically with respect to other threads."""
        with self._whole:
            self._connection.sendall(message)

    def tasks(self) -> Iterator[Frame]:
        """Yield each task until the parent closes the socket."""
        while True:
            while self._frames:
                frame = self._frames.popleft()
                # A cancellation that arrives after the answer has no effect.
                if frame.kind == "task":
                    yield frame
            data = self._connection.recv(_RECEIVE_BYTES)
            if not data:
                return
            self._frames.extend(self._decoder.feed(data))

    def raise_if_cancelled(self, job: int) -> None:
        """Raise if the parent has cancelled this job.

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
