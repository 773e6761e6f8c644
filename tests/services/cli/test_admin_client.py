"""The client of the administration API, against a stub of a service on a port and on a socket."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from services.cli.admin_client import Target, change_settings, force, show_policies

CIRCUIT = {"state": "closed", "mode": "normal"}
LISTING = {"service": "gateway", "policies": {"p": CIRCUIT, "q": CIRCUIT}}


class Stub(BaseHTTPRequestHandler):
    """A service that answers every request as its server says, and keeps what it was sent."""

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        self.server.seen.append((self.path, dict(self.headers), json.loads(self.rfile.read(size) or "null")))
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "client"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CQOX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CQOX_ADMIN_TOKEN", "s3cret")


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[socketserver.BaseServer]:
    server.seen, server.answer = [], (200, json.dumps(LISTING).encode())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def service() -> Iterator[socketserver.BaseServer]:
    with serving(socketserver.TCPServer(("127.0.0.1", 0), Stub)) as server:
        yield server


def target_of(service: socketserver.BaseServer) -> Target:
    return Target(url=f"http://127.0.0.1:{service.server_address[1]}")


def test_a_target_is_the_gateway_unless_named() -> None:
    assert (Target().name, Target(service="engine").name) == ("gateway", "engine")


def test_all_policies_are_shown_and_a_change_shows_only_its_own(service, capsys: pytest.CaptureFixture[str]) -> None:
    target = target_of(service)
    assert show_policies(target, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == LISTING["policies"]
    assert force(target, "q", "isolate", as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"q": CIRCUIT}
    assert show_policies(target, as_json=False) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [["p", "closed"], ["q", "closed"]]
    (_, headers, read), (path, _, forced), _ = service.seen
    assert headers["Authorization"] == "Bearer s3cret"
    assert (path, read, forced) == ("/api/admin/policies", None, {"policy": "q", "action": "isolate"})


def test_settings_are_json_where_they_can_be(service, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["a=1.5", "b = true", "c=soon", "d=NaN", 'e={"f":[1]}', "g=", "h=a=b"]
    assert change_settings(target_of(service), "p", given, as_json=False) == 0
    ((_, _, sent),) = service.seen
    assert sent["settings"] == {"a": 1.5, "b": True, "c": "soon", "d": "NaN", "e": {"f": [1]}, "g": "", "h": "a=b"}
    assert "a is 1.5" in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["recovery_timeout", "=1", " =1", ""])
def test_a_setting_without_name_or_value_is_a_usage_error_and_nothing_is_sent(service, setting: str) -> None:
    assert change_settings(target_of(service), "p", ["a=1", setting], as_json=False) == 2
    assert service.seen == []


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b'{"type": "no-such-path"}', "CQOX_ADMIN_TOKEN"),
        (400, b'{"type": "x", "detail": "There is no policy.", "choices": ["p", "q"]}', "p, q"),
        (502, b"<html>", "502"),
        (200, b"[1]", "policies"),
        (200, b'{"policies": []}', "policies"),
    ],
)
def test_any_other_answer_is_status_1_and_one_line(
    service, capsys: pytest.CaptureFixture[str], status: int, body: bytes, words: str
) -> None:
    service.answer = (status, body)
    assert show_policies(target_of(service), as_json=False) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.parametrize(
    "target",
    [
        Target(url="http://x", socket=Path("/x")),
        Target(url="localhost:8082"),
        Target(url="ftp://localhost"),
        Target(url="http://user:hunter2@localhost"),
        Target(url="http://[::1"),
    ],
)
def test_an_unusable_url_is_a_usage_error_that_repeats_no_password(
    capsys: pytest.CaptureFixture[str], target: Target
) -> None:
    assert show_policies(target, as_json=False) == 2
    assert "hunter2" not in capsys.readouterr().err


def test_a_url_needs_a_token(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CQOX_ADMIN_TOKEN")
    assert show_policies(Target(url="http://127.0.0.1:1"), as_json=False) == 2
    assert "CQOX_ADMIN_TOKEN" in capsys.readouterr().err


def test_a_socket_needs_no_token_and_its_service_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CQOX_ADMIN_TOKEN_FILE", "/nowhere")
    monkeypatch.delenv("CQOX_ADMIN_TOKEN")
    monkeypatch.chdir(tmp_path)
    path = Path("s.sock")
    assert show_policies(Target(socket=path), as_json=True) == 1
    with serving(socketserver.UnixStreamServer(str(path), Stub)):
        assert show_policies(Target(socket=path), as_json=True) == 0
        assert show_policies(Target(socket=path, service="gateway"), as_json=True) == 0
        capsys.readouterr()
        assert show_policies(Target(socket=path, service="engine"), as_json=True) == 2
        assert "gateway" in capsys.readouterr().err
