"""A network namespace of Linux: links that nothing else on the machine can reach. Only root may make one."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.parent import ending_with_parent

__all__ = ["NetworkNamespace"]


class NetworkNamespace:
    """A namespace that is there until `close`, or until this process ends.

    Args:
        hosts: a file that is its hosts file.

    Attributes:
        pid: a process in it, which does nothing.
        around: a command before which this goes runs in it, and sees its hosts file.

    Raises:
        OSError: there can be none.
    """

    def __init__(self, *, hosts: str = "") -> None:
        mount = 'mount --bind "$0" /etc/hosts && ' if hosts else ""
        script = f"{mount}ip link set lo up && echo ready && exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "-n", *(["-m"] if hosts else []), "sh", "-c", script, hosts or "sh"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=ending_with_parent(9),
        )
        assert self._holder.stdout is not None
        line = self._holder.stdout.readline()
        if line != b"ready\n":
            self._holder.kill()
            rest, _ = self._holder.communicate()
            raise OSError(errno.EPERM, f"no namespace: {line + rest!r}")
        self.pid = self._holder.pid
        self.around = ["nsenter", "-t", str(self.pid), "-n", *(["-m"] if hosts else [])]

    def enter(self) -> None:
        """Move this thread into the namespace for good."""
        with open(f"/proc/{self.pid}/ns/net") as there:
            os.setns(there.fileno(), os.CLONE_NEWNET)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let this thread make its sockets and devices in the namespace."""
        with open("/proc/thread-self/ns/net") as here:
            self.enter()
            try:
                yield
            finally:
                os.setns(here.fileno(), os.CLONE_NEWNET)

    def close(self) -> None:
        """End it; its addresses are gone."""
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()
