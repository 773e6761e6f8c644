"""A Prometheus and an Alertmanager of Debian's packages, on free ports, ended with the tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.waiting import wait_until

__all__ = ["Alertmanager", "Prometheus", "program"]


def program(name: str) -> str:
    """Return the path of a program: on PATH, or where `prometheus.sh` puts it."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.prefix) / "bin"))
    assert found, f"There is no {name}: run tests/servers/prometheus.sh .venv, or put it on PATH."
    return found


_SHARE = Path("/usr/share")


class _Server:
    """A server with `/-/ready`; its log is a file."""

    def __init__(
        self, name: str, folder: Path, arguments: Sequence[str], around: Sequence[str] = (), port: int | None = None
    ) -> None:
        self._name = name
        self._log = folder / f"{name}.log"
        self.port = port or free_port()
        self._arguments = [*around, program(name), f"--web.listen-address=127.0.0.1:{self.port}", *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={key: value for key, value in os.environ.items() if "proxy" not in key.lower()},
                preexec_fn=ending_with_parent(9),
            )
        wait_until(self._is_ready, failure=lambda: f"{self._name} is not ready:\n{self.log}")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self._name} ended:\n{self.log}"
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Prometheus(_Server):
    """One with the configuration of a file; its data are in the file's folder.

    Args:
        configuration: the file.
        resend_seconds: how long it waits before it sends an alert again that its Alertmanager may have missed.
        port: a free one if None.
    """

    def __init__(self, configuration: Path, *, resend_seconds: float, port: int | None = None) -> None:
        folder = configuration.parent
        arguments = [
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--rules.alert.resend-delay={round(resend_seconds * 1000)}ms",
            "--log.level=warn",
        ]
        super().__init__("prometheus", folder, arguments, port=port)

    def get(self, path: str, **parameters: str) -> dict[str, object]:
        """Return `data` of an answer of its API."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        data: dict[str, object] = answer.json()["data"]
        return data

    def query(self, expression: str) -> list[dict[str, object]]:
        """Return the samples of an instant query."""
        found: list[dict[str, object]] = self.get("query", query=expression)["result"]  # type: ignore[assignment]
        return found


class Alertmanager(_Server):
    """One with the configuration of a file, alone in its cluster.

    Debian's reads its templates from /usr/share; where the package is not installed, it is shown those that
    `prometheus.sh` took out of it, in a mount namespace of its own.
    """

    def __init__(self, configuration: Path) -> None:
        arguments = [
            f"--config.file={configuration}",
            f"--storage.path={configuration.parent / 'silences'}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        super().__init__("prometheus-alertmanager", configuration.parent, arguments, around=_around())


def _around() -> list[str]:
    shown = Path(sys.prefix) / "share" / "alertmanager"
    if (_SHARE / "prometheus" / "alertmanager" / "default.tmpl").exists() or not shown.exists():
        return []
    user = [] if os.geteuid() == 0 else ["-U", "--map-root-user"]
    return ["unshare", *user, "-m", "sh", "-c", f'mount --bind "$0" {_SHARE} && exec "$@"', str(shown)]
