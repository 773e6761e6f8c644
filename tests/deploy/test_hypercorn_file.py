"""The services under the hypercorn command, with deploy/hypercorn.toml."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.servers.certificates import authority_in, client_of
from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).parents[2]
LONG = json.loads((ROOT / "examples" / "long_request.json").read_text(encoding="utf-8"))


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("service", ["engine", "gateway"])
def test_what_is_in_flight_is_finished_before_hypercorn_ends(service: str, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    log = tmp_path / "log"
    command = [sys.executable, "-m", "hypercorn", "-c", "deploy/hypercorn.toml", "-b", url.removeprefix("http://")]
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*command, f"services.{service}.app:app"],
            cwd=ROOT,
            env=os.environ | {"CQOX_DATA_DIR": str(tmp_path), "ENGINE_URL": f"http://127.0.0.1:{free_port()}"},
            stdout=written,
            stderr=written,
            preexec_fn=ending_with_parent(signal.SIGKILL),
            start_new_session=True,
        )
    try:
        wait_until(lambda: process.poll() is not None or ready(url), failure=lambda: log.read_text(encoding="utf-8"))
        assert process.poll() is None, log.read_text(encoding="utf-8")
        statuses: list[int] = []

        def ask() -> None:
            body = LONG | {"options": LONG["options"] | {"repetitions": 600}}
            answer = httpx.post(
                f"{url}/api/analyze/comprehensive", json=body, timeout=PATIENCE_SECONDS, trust_env=False
            )
            statuses.append(answer.status_code)

        with socket.create_connection(("127.0.0.1", httpx.URL(url).port), PATIENCE_SECONDS) as peer:
            peer.sendall(b"GET /api/health HTTP/1.1\r\n\r\n")
            assert (
                "The request must have exactly one Host header."
                in b"".join(iter(lambda: peer.recv(65536), b"")).decode()
            )
        asking = threading.Thread(target=ask)
        asking.start()
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
            while client.get("/api/health").json()["in_flight"] < 1:
                assert asking.is_alive(), statuses
        # Hypercorn's first process hands the signal to the one that serves.
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        asking.join(PATIENCE_SECONDS)
        # There is no engine behind this gateway: it gives up after its three attempts.
        assert statuses == [200 if service == "engine" else 503]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("service", ["engine", "gateway"])
def test_with_a_worker_that_is_not_trios_a_service_ends_and_says_what_to_change(service: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "hypercorn",
        "-w",
        "0",
        "-b",
        f"127.0.0.1:{free_port()}",
        f"services.{service}.app:app",
    ]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"CQOX_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        preexec_fn=ending_with_parent(signal.SIGKILL),
        check=False,
    )
    assert ended.returncode != 0
    assert "--worker-class trio" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_certificates_of_the_settings_hold_under_hypercorn_as_well(tmp_path: Path) -> None:
    authority = authority_in(tmp_path / "tls", "gateway")
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", "-c", "deploy/hypercorn.toml", "-b", f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*command, "services.gateway.app:app"],
        cwd=ROOT,
        env=os.environ | {"CQOX_DATA_DIR": str(tmp_path), "CQOX_TLS_DIR": str(tmp_path / "tls" / "gateway")},
        stderr=subprocess.DEVNULL,
        preexec_fn=ending_with_parent(signal.SIGKILL),
        start_new_session=True,
    )
    try:
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=client_of(authority, "gateway"), trust_env=False
        ) as client:

            def answers() -> bool:
                assert process.poll() is None
                try:
                    return client.get("/health/live").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(answers)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/health/live", trust_env=False)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
