"""The admin endpoint of real services: on their port, through a proxy, and on their sockets."""

import itertools
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

PATH = "/api/admin/policies"
ISOLATE = {"policy": "_call_engine_analyze", "action": "isolate"}


@pytest.fixture
def folder():
    # That of pytest may be too long for a socket.
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        yield Path(made)


@pytest.fixture
def gateway(start, folder):
    service = start("-m", "services.gateway", CQOX_DATA_DIR=str(folder / "data"))
    assert service.url
    return service


def operator(path: Path) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost", timeout=20)


def circuit(listing: dict) -> str:
    return listing["policies"]["_call_engine_analyze breaker"]["mode"]


@contextmanager
def relay(url: str):
    """A reverse proxy that adds no headers, as nginx with only proxy_pass: it forwards bytes."""
    target = (httpx.URL(url).host, httpx.URL(url).port)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def accept() -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            server = socket.create_connection(target)
            threads = [threading.Thread(target=pump, args=pair) for pair in ((client, server), (server, client))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            client.close()
            server.close()

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        door.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_behind_a_plain_proxy_and_without_a_token_there_is_no_such_path(gateway, folder):
    some = ({}, {"Host": "localhost"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer None"})
    with relay(gateway.url) as proxy:
        for url, headers in itertools.product((proxy, gateway.url), some):
            assert httpx.get(url + PATH, headers=headers, trust_env=False).status_code == 404
            answer = httpx.post(url + PATH, json=ISOLATE, headers=headers, trust_env=False)
            assert (answer.status_code, answer.json()["type"]) == (404, "no-such-path")
    gateway.wait_line("Admin socket at ")
    with operator(folder / "data" / "admin-gateway.sock") as client:
        assert circuit(client.get(PATH).json()) == "normal"


def test_with_a_token_it_is_asked_for_through_a_proxy_too(start, folder):
    gateway = start("-m", "services.gateway", CQOX_DATA_DIR=str(folder), CQOX_ADMIN_TOKEN="s3cret")
    with relay(gateway.url) as proxy:
        for url in (proxy, gateway.url):
            assert httpx.get(url + PATH, trust_env=False).status_code == 404
            wrong = {"Authorization": "Bearer other"}
            assert httpx.post(url + PATH, json=ISOLATE, headers=wrong, trust_env=False).status_code == 404
            right = {"Authorization": "Bearer s3cret"}
            assert httpx.get(url + PATH, headers=right, trust_env=False).status_code == 200


def test_each_service_has_a_socket_for_its_owner_alone_until_it_ends(start, folder):
    for name in ("gateway", "engine"):
        service = start("-m", f"services.{name}", CQOX_DATA_DIR=str(folder / "data"))
        path = folder / "data" / f"admin-{name}.sock"
        assert str(path) in service.wait_line("Admin socket at ")
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        with operator(path) as client:
            listing = client.get(PATH).json()
            assert listing["service"] == name
            assert client.get("/api/datasets").status_code == 404
            assert client.post(PATH, json={"policy": "nobody", "action": "reset"}).status_code == 404
            assert client.post(PATH, content=b"x" * (5 * 2**20)).status_code == 413
        assert service.stop() == 0
        assert not path.exists()


def test_a_policy_is_steered_on_the_socket_and_the_log_says_which(gateway, folder):
    gateway.wait_line("Admin socket at ")
    with operator(folder / "data" / "admin-gateway.sock") as client:
        assert circuit(client.post(PATH, json=ISOLATE).json()) == "isolated"
    line = json.loads(gateway.wait_line("a policy was steered"))
    assert (line["policy"], line["action"]) == ("_call_engine_analyze", "isolate")
    asked = {"dataset_id": "test", "mapping": {"y": "y"}}
    refused = httpx.post(f"{gateway.url}/api/analyze/comprehensive", json=asked, trust_env=False)
    assert refused.json()["type"] == "circuit-open"


def test_the_plain_hypercorn_command_has_the_socket_and_no_path_on_its_port(start, folder):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = start(
        "-m", "hypercorn", "-k", "trio", "-w", "1", "--bind", f"127.0.0.1:{port}", "services.gateway.app:app",
        CQOX_DATA_DIR=str(folder),
    )  # fmt: skip
    service.wait_line("Running on http://")
    assert httpx.get(f"http://127.0.0.1:{port}{PATH}", trust_env=False).status_code == 404
    with operator(folder / "admin-gateway.sock") as client:
        assert client.get(PATH).status_code == 200
    assert service.stop() == 0


def test_hypercorn_on_a_unix_socket_behind_a_proxy_is_the_port_and_no_operator(start, folder):
    service = start(
        "-m", "hypercorn", "-k", "trio", "-w", "1", "--bind", f"unix:{folder}/web.sock", "services.gateway.app:app",
        CQOX_DATA_DIR=str(folder),
    )  # fmt: skip
    service.wait_line("Running on ")
    with operator(folder / "web.sock") as client:
        assert client.get(PATH).status_code == 404
        assert client.get("/health/live").status_code == 200
    service.stop()


def test_the_socket_of_a_killed_service_is_replaced_and_that_of_a_living_one_is_not(start, folder):
    path = folder / "admin-gateway.sock"
    killed = start("-m", "services.gateway", CQOX_DATA_DIR=str(folder))
    killed.wait_line("Admin socket at ")
    killed.stop(signal.SIGKILL)
    assert path.is_socket()
    first = start("-m", "services.gateway", CQOX_DATA_DIR=str(folder))
    assert f"Admin socket at {path}" in first.wait_line("Admin socket at ")
    second = start("-m", "services.gateway", CQOX_DATA_DIR=str(folder))
    line = second.wait_line("belongs to another process")
    assert str(folder / "admin-gateway-2.sock") in line
    for one in (path, folder / "admin-gateway-2.sock"):
        with operator(one) as client:
            assert client.get(PATH).status_code == 200
    assert second.stop() == 0
    with operator(path) as client:
        assert client.get(PATH).status_code == 200


@pytest.mark.parametrize("where", ["/tmp/" + "x" * 120, "/proc/admin.sock", "/dev/null/admin.sock"])
def test_a_service_without_its_socket_goes_on_and_says_why(start, folder, where):
    service = start("-m", "services.gateway", CQOX_DATA_DIR=str(folder), CQOX_ADMIN_SOCKET=where)
    line = service.wait_line("There is no admin socket at ")
    assert where in line
    assert "choose another path by CQOX_ADMIN_SOCKET" in line
    assert httpx.get(f"{service.url}/health/ready", trust_env=False).status_code == 200
    assert service.stop() == 0


RAW = [
    b"GET ?/a HTTP/1.0\r\n\r\nxx\r\n\r\n",
    b"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET //[::1/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x00" * 100_000,
    b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000,
    b"POST /api/admin/policies HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /api/admin/policies HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /api/admin/policies HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" * 2,
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /api/admin/policies HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /api/admin/policies HTTP/1.0\r\n\r\n",
    b"",
]


def test_nothing_that_comes_to_the_socket_ends_it(gateway, folder):
    path = str(folder / "data" / "admin-gateway.sock")
    gateway.wait_line("Admin socket at ")
    for raw in RAW * 3:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(20)
            one.connect(path)
            try:
                one.sendall(raw)
                one.shutdown(socket.SHUT_WR)
                answer = one.recv(65536)
            except OSError:
                continue
            assert not answer.startswith(b"HTTP/1.1 500"), (raw[:80], answer)
    silent = [socket.socket(socket.AF_UNIX) for _ in range(5)]
    for one in silent:
        one.connect(path)
    with operator(Path(path)) as client:
        assert client.get(PATH).status_code == 200
    for one in silent:
        one.close()
    assert gateway.stop() == 0
    assert not [line for line in gateway.lines if "Traceback" in line or '"level": "error"' in line]


AS_ANOTHER_USER = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
one = socket.socket(socket.AF_UNIX)
one.connect(sys.argv[1])
try:
    one.sendall(b"GET /api/admin/policies HTTP/1.0\\r\\n\\r\\n")
    print(len(one.recv(65536)))
except (BrokenPipeError, ConnectionResetError):
    print(0)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_is_not_answered_even_where_somebody_opened_the_file(gateway, folder):
    path = folder / "data" / "admin-gateway.sock"
    gateway.wait_line("Admin socket at ")
    for one in (folder, folder / "data"):
        one.chmod(0o755)

    def asked() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-c", AS_ANOTHER_USER, str(path)], capture_output=True, text=True, timeout=60
        )

    refused = asked()
    assert "PermissionError" in refused.stderr
    path.chmod(0o777)
    assert asked().stdout == "0\n"
