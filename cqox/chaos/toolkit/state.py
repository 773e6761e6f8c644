"""The file that says where a running system is, and requests to that system.

A system answers only to the user who has started it, and only the process that wrote the file is asked: the number of a
process that has ended may be that of another one.
"""

import json
import os
import socket
import struct
from dataclasses import asdict, dataclass
from pathlib import Path

from cqox.chaos.experiments.ownership import NotOurs, start_of
from cqox.errors import CqoxError

__all__ = ["REQUESTS", "Answer", "State", "SystemAway", "ask"]

REQUESTS = ("steady", "break", "mend", "healed", "acknowledged", "promises")
"""Requests to a session; `break` and `mend` take the number of a fault, from 1, and `mend` takes all without one."""

_CREDENTIALS = struct.Struct("3i")
_PIECE_BYTES = 65536


class SystemAway(CqoxError):
    """There is no running system that a file names.

    Attributes:
        file: the file.
        reason: what was found.
    """

    def __init__(self, file: Path, reason: str) -> None:
        self.file = file
        self.reason = reason
        super().__init__(f"{file}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer of a system to a request.

    Attributes:
        holds: whether what was asked for is so.
        lines: what was found.
    """

    holds: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A running system.

    Attributes:
        experiment: the name of its experiment.
        pid: the process that has started it.
        start: when that process started, in ticks of the kernel's clock.
        socket: a Unix socket that it listens on.
    """

    experiment: str
    pid: int
    start: int
    socket: str

    def write(self, file: Path) -> None:
        """Write the file at once, for this user alone.

        Raises:
            OSError: it cannot be written.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            json.dump(asdict(self), opened)
        part.replace(file)

    @classmethod
    def read(cls, file: Path) -> "State":
        """Return what a file of this user says.

        Raises:
            SystemAway: there is no such file, or another user could have written it.
        """
        try:
            with file.open(encoding="utf-8") as opened:
                about = os.fstat(opened.fileno())
                content = json.load(opened)
            if about.st_uid != os.geteuid() or about.st_mode & 0o022:
                raise SystemAway(file, "it is not a file of this user alone")
            return cls(
                experiment=str(content["experiment"]),
                pid=int(content["pid"]),
                start=int(content["start"]),
                socket=str(content["socket"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SystemAway(file, f"it names no running system: {error}") from error


def ask(file: Path, experiment: str, request: str, *, seconds: float) -> Answer:
    """Ask the system that a file names, and return its answer.

    Args:
        file: the file.
        experiment: whose system it must be.
        request: one line.
        seconds: how long to wait for the answer.

    Raises:
        SystemAway: there is none, it is that of another experiment, or it does not answer.
        NotOurs: the process is not the one that wrote the file.
    """
    state = State.read(file)
    if state.experiment != experiment:
        raise SystemAway(file, f"it is the system of {state.experiment}")
    if start_of(state.pid) != state.start:
        raise NotOurs(state.pid, f"{file} was written by another process, which has ended")
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(state.socket)
            peer, _, _ = _CREDENTIALS.unpack(
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
            if peer != state.pid:
                raise NotOurs(peer, f"it listens where {file} says that process {state.pid} does")
            connection.sendall(f"{request}\n".encode())
            content = json.loads(b"".join(iter(lambda: connection.recv(_PIECE_BYTES), b"")))
    except (OSError, ValueError) as error:
        raise SystemAway(file, f"no answer: {error}") from error
    return Answer(holds=bool(content["holds"]), lines=tuple(map(str, content["lines"])))
