"""Worker side of the private socket: blocking frames in and out."""

import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping

from cqox.analysis.workers.protocol import Decoder, Frame, encode

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

    def ask(self, job: int, question: Mapping[str, object]) -> bytes:
        """Send a question of this job to the parent, and return its answer.

        Raises:
            TaskCancelled: the parent has cancelled this job, or closed the socket.
        """
        self.send(encode(Frame(kind="ask", job=job, body=dict(question))))
        while True:
            found = [frame for frame in self._frames if frame.job == job and frame.kind in ("answer", "cancel")]
            for frame in found:
                self._frames.remove(frame)
            if any(frame.kind == "cancel" for frame in found):
                raise TaskCancelled
            if found:
                return found[0].payload
            data = self._connection.recv(_RECEIVE_BYTES)
            if not data:
                raise TaskCancelled
            self._frames.extend(self._decoder.feed(data))
