"""The pipe that ends worker processes with their engine, in whatever state either of them is.

The engine holds the writing end and never writes. When the engine ends, however it ends, the kernel closes that end and
sends SIGKILL to the process group that owns the reading end: also to a process that is stopped, that has not begun to
run Python, or that is in a long C call. PR_SET_PDEATHSIG would not do: it fires when the *thread* that started the
process ends, and event loops start processes from short-lived threads.

What must stay true: the process keeps its copy of the reading end open, and stays in the group that it was started in.
"""

import fcntl
import os
import signal

__all__ = ["arm"]

_F_SETSIG = 10
"""Linux: which signal announces what happens to a descriptor; absent from the module `fcntl`."""


def arm(reading_end: int, group: int) -> None:
    """Have the kernel kill every process of a group once the writing end of the pipe is closed.

    Both sides call this: the engine because the process may be stopped before it gets that far, the process because
    the engine may be gone by then.

    Args:
        reading_end: the descriptor, which the process holds as well.
        group: the id of the process group.

    Raises:
        EOFError: the writing end is closed already, too early for a signal.
    """
    fcntl.fcntl(reading_end, fcntl.F_SETOWN, -group)
    fcntl.fcntl(reading_end, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(reading_end, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    try:
        if os.read(reading_end, 1) == b"":
            raise EOFError("the process at the other end is gone")
    except BlockingIOError:
        pass
