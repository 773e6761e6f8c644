"""Lifeline pipe: kills worker processes when their engine exits, in any state of either.

The engine holds the write end and never writes. When the engine exits, in any way, the kernel closes that end and
sends SIGKILL to the process group that owns the read end: also to a process that is stopped, that has not started
Python yet, or that is in a long C call. PR_SET_PDEATHSIG does not suffice: it fires when the *thread* that started the
process exits, and event loops start processes from short-lived threads.

Invariant: the process keeps its copy of the read end open, and stays in its initial process group.
"""

import fcntl
import os
import signal

__all__ = ["arm"]

_F_SETSIG = 10
"""Linux: sets the signal for I/O events on a descriptor (F_SETSIG); missing from the module `fcntl`."""


def arm(reading_end: int, group: int) -> None:
    """Make the kernel kill every process of a group once the write end of the pipe is closed.

    Both sides call this: the engine because the process may be stopped before it gets that far, the process because
    the engine may have exited by then. A process that is stopped before the engine calls it is left if the engine exits
    in the same moment: the owner of a descriptor cannot be set before the process exists.

    Args:
        reading_end: the descriptor, which the process holds as well.
        group: the id of the process group.

    Raises:
        EOFError: the write end is closed already, so no signal will be sent.
    """
    fcntl.fcntl(reading_end, fcntl.F_SETOWN, -group)
    fcntl.fcntl(reading_end, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(reading_end, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    try:
        if os.read(reading_end, 1) == b"":
            raise EOFError("the process at the other end has exited")
    except BlockingIOError:
        pass
