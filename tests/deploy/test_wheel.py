"""The wheel holds all that the services need: it runs where nothing of the tree is."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).parents[2]
REQUEST = json.loads((ROOT / "examples" / "request.json").read_text(encoding="utf-8"))
RETAIL = json.loads((ROOT / "examples" / "mini_retail_request.json").read_text(encoding="utf-8"))


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(**more: str) -> dict[str, str]:
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "CQOX", "OTEL", "VIRTUAL"))
    }
    return kept | {"PYTHONUTF8": "1"} | more


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an environment `env` that has the wheel, and what the lock file names, but nothing of the tree."""
    folder = tmp_path_factory.mktemp("elsewhere")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, ROOT, cwd=folder)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    [wheel] = folder.glob("cqox-*.whl")
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    # The requirements are installed for this test run already. A folder named in a .pth file has its own left unread:
    # that is where the tree would come in.
    libraries = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (libraries / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def gateway(elsewhere: Path) -> Iterator[httpx.Client]:
    ports = {"CQOX_GATEWAY_PORT": str(free_port()), "CQOX_ENGINE_PORT": str(free_port())}
    log = elsewhere / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [elsewhere / "env" / "bin" / "cqox", "up"],
            cwd=elsewhere,
            env=environment(CQOX_DATA_DIR=str(elsewhere / "data"), **ports),
            stdout=written,
            stderr=written,
            preexec_fn=ending_with_parent(signal.SIGTERM),
        )
    url = f"http://127.0.0.1:{ports['CQOX_GATEWAY_PORT']}"
    try:
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
            wait_until(lambda: process.poll() is not None or ready(client), failure=lambda: log.read_text("utf-8"))
            assert process.poll() is None, log.read_text(encoding="utf-8")
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
    assert process.returncode == 0, log.read_text(encoding="utf-8")


def ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").json()["status"] == "ok"
    except httpx.TransportError:
        return False


def test_what_runs_is_what_the_wheel_brought(elsewhere: Path) -> None:
    python = elsewhere / "env" / "bin" / "python"
    for name in ("cqox", "services"):
        place = run(python, "-c", f"import {name}; print({name}.__path__[0])", cwd=elsewhere).strip()
        assert Path(place).is_relative_to(elsewhere / "env"), place


@pytest.mark.parametrize("request_body", [REQUEST, RETAIL], ids=["test", "mini_retail"])
def test_the_samples_are_analysed_and_their_figures_drawn(
    gateway: httpx.Client, request_body: dict[str, object]
) -> None:
    report = gateway.post("/api/analyze/comprehensive", json=request_body)
    assert report.status_code == 200, report.text
    reported = report.json()
    assert any(one["status"] == "ok" for one in reported["estimates"])
    for url in list(reported["figures"].values())[:2]:
        stem = url.removesuffix(".svg")
        assert "CQOx Gothic" in gateway.get(f"{stem}.svg").text
        assert gateway.get(f"{stem}.png").content.startswith(b"\x89PNG")


def test_the_page_of_the_api_is_served_from_the_wheel(gateway: httpx.Client) -> None:
    assert gateway.get("/docs").status_code == 200
    assert gateway.get("/openapi.json").json()["paths"]
    served = [path for path in (ROOT / "services" / "http" / "static").rglob("*") if path.suffix in (".js", ".css")]
    page = gateway.get("/docs").text
    for path in served:
        at = next(part for part in page.split('"') if part.endswith(path.name))
        assert gateway.get(at).content == path.read_bytes()
