"""A real object store that speaks the S3 protocol: the server of moto, which `object_store.sh` has installed."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cqox import randomness
from cqox.storage.objects.address import Keys, ObjectStoreAddress
from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

__all__ = ["KEYS", "ObjectStore"]

KEYS = Keys(access_key="a-key-of-the-tests", secret_key="a-secret-of-the-tests")


class ObjectStore:
    """One server that keeps nothing on disk."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cqox-objects-"))
        self._program = Path(sys.prefix) / "object-store/bin/moto_server"
        assert self._program.exists(), "There is no object store: `make test` gets one, and so does object_store.sh."
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ending_with_parent(signal.SIGKILL),
            )
        wait_until(self._answers, failure=(self._folder / "log").read_text)

    def _command(self) -> list[str]:
        return [str(self._program), "-H", "127.0.0.1", "-p", str(self.port)]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            return self._request("GET", "/").startswith("<")
        except (OSError, http.client.HTTPException):
            return False

    def bucket(self, *, versions: bool = False) -> str:
        """Create an empty bucket."""
        name = f"bucket-{randomness.token_hex(8)}"
        self._request("PUT", f"/{name}")
        if versions:
            self._request(
                "PUT",
                f"/{name}?versioning",
                "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            )
        return name

    def address(self, *, versions: bool = False) -> ObjectStoreAddress:
        """The address of a prefix in an empty bucket."""
        return ObjectStoreAddress(
            bucket=self.bucket(versions=versions), prefix="of/cqox", endpoint=self.endpoint, keys=KEYS
        )

    def versions(self, bucket: str) -> list[str]:
        """The keys of all versions in a bucket, of deletion markers as well."""
        return [part.partition("<")[0] for part in self._request("GET", f"/{bucket}?versions").split("<Key>")[1:]]

    def _request(self, method: str, path: str, body: str = "") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status < 300, text
            return text
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE_SECONDS)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still meanwhile."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
