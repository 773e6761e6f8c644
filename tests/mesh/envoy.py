"""Envoy as a process of a pod, with files that are replaced while it runs."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from deploy.mesh import Sidecar
from tests.mesh.network import Pod
from tests.waiting import wait_until

__all__ = ["Envoy", "program"]


def program() -> Path:
    """Return Envoy, as `tests/servers/envoy.sh` installs it."""
    found = Path(sys.executable).with_name("envoy")
    assert found.exists(), "There is no Envoy: run tests/servers/envoy.sh .venv"
    return found


class Envoy:
    """One sidecar.

    Args:
        sidecar: what it does.
        pod: where.
    """

    def __init__(self, sidecar: Sidecar, pod: Pod) -> None:
        self.sidecar = sidecar
        self._pod = pod
        self._log = sidecar.folder / "log"
        sidecar.folder.mkdir(parents=True)

    def start(self, addresses: Mapping[str, Iterable[str]]) -> None:
        """Start it, and wait until it takes connections."""
        self.write(addresses)
        command = [str(program()), "-c", str(self.sidecar.folder / "bootstrap.json")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._pod.around, *command, "--concurrency", "1", "-l", "warn", "--disable-hot-restart"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_ready, failure=self._log.read_text)

    def write(self, addresses: Mapping[str, Iterable[str]]) -> None:
        """Write the files that have changed; Envoy takes them up."""
        for name, content in self.sidecar.files(addresses).items():
            path = self.sidecar.folder / name
            if path.exists() and path.read_text() == content:
                continue
            new = path.with_suffix(".new")
            new.write_text(content)
            os.replace(new, path)

    def stats(self, pattern: str) -> dict[str, int]:
        """Return counters and gauges whose name contains a regular expression."""
        found = json.loads(self._admin(f"/stats?{urlencode({'filter': pattern, 'format': 'json'})}"))["stats"]
        return {each["name"]: each["value"] for each in found if "value" in each}

    def stat(self, name: str) -> int:
        """Return one counter or gauge; 0 where it was never touched."""
        return self.stats(f"^{name.replace('|', '[|]').replace('.', '[.]')}$").get(name, 0)

    def stop(self) -> None:
        """End it at once."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self._admin("/ready") == b"LIVE\n"
        except OSError:
            return False

    def _admin(self, target: str) -> bytes:
        with closing(_Socket(self.sidecar.folder / "admin.sock")) as connection:
            connection.request("GET", target)
            return connection.getresponse().read()


class _Socket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
