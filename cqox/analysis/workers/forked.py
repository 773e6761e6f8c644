"""A worker process that a template has forked, as a child of this process."""

import os
import signal

import anyio

__all__ = ["ForkedProcess"]

_UNKNOWN_STATUS = 255


class ForkedProcess:
    """A child process by its id, with the interface of `anyio.abc.Process` that a `WorkerProcess` uses.

    Args:
        pid: a child of this process that nothing else waits for.

    Raises:
        OSError: there is no such process, or no descriptor for it.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._status: int | None = None
        # One task at a time may wait for a descriptor.
        self._waiting = anyio.Lock()

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self._status = _UNKNOWN_STATUS
            else:
                self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    async def wait(self) -> int:
        """Wait until the process has exited, and return its exit status. A cancellation leaves it as it is."""
        async with self._waiting:
            while (status := self.returncode) is None:
                await anyio.wait_readable(self._descriptor)
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
            return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal.

        Raises:
            ProcessLookupError: the process has exited.
        """
        if self.returncode is not None:
            raise ProcessLookupError(self.pid)
        # Nothing else has its number as long as it has not been waited for.
        os.kill(self.pid, number)
