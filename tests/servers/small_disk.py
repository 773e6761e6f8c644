"""A file system of a few MiB that can be filled and made read-only, in a mount namespace of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.servers.parent import ending_with_parent

__all__ = ["SmallDisk"]

_BLOCK_BYTES = 4096


class SmallDisk:
    """It is gone with `close`, or with the process of the tests. No rights are needed where users have namespaces.

    Args:
        mount_point: an empty folder; the disk is there for what is started by `around`.
        size_bytes: its size.

    Attributes:
        around: a command before which this goes sees the disk.
        seen: the same folder as the tests reach it.
    """

    def __init__(self, mount_point: Path, size_bytes: int) -> None:
        self._mount_point = mount_point
        mount_point.mkdir(exist_ok=True)
        user = [] if os.geteuid() == 0 else ["-U", "--map-root-user"]
        script = f'mount -t tmpfs -o size={size_bytes} tmpfs "$0" && echo ready && exec sleep infinity'
        self._holder = subprocess.Popen(
            ["unshare", *user, "-m", "sh", "-c", script, str(mount_point)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=ending_with_parent(9),
        )
        assert self._holder.stdout is not None
        line = self._holder.stdout.readline()
        assert line == b"ready\n", f"no file system could be mounted: {line!r} {self._holder.stdout.read()!r}"
        entered = ["-U", "--preserve-credentials"] if user else []
        self.around: Sequence[str] = ("nsenter", "-t", str(self._holder.pid), *entered, "-m")
        self.seen = Path(f"/proc/{self._holder.pid}/root{mount_point}")

    @property
    def free_bytes(self) -> int:
        about = os.statvfs(self.seen)
        return about.f_bavail * about.f_frsize

    def fill(self, *, leaving_bytes: int = 0) -> None:
        """Let others take what is free, but for so many bytes."""
        with (self.seen / "of others").open("ab", buffering=0) as file, suppress(OSError):
            while self.free_bytes > leaving_bytes:
                file.write(bytes(_BLOCK_BYTES))

    def clear(self) -> None:
        """Take back what `fill` took."""
        (self.seen / "of others").unlink()

    def remount(self, how: str) -> None:
        """`ro` for a disk that takes no writes, `rw` for one that does again."""
        subprocess.run([*self.around, "mount", "-o", f"remount,bind,{how}", str(self._mount_point)], check=True)

    def run(self, program: str) -> str:
        """Return the output of a Python program that runs where the disk is mounted, as SQLite needs its real path."""
        command = [*self.around, sys.executable, "-c", program]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()
