"""The images: what goes into them, the password of the database, and the health check."""

import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cqox.certificates import Credentials, current_version
from cqox.certificates.authority import Authority
from tests.servers.ports import free_port
from tests.services.conftest import Service

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "deploy" / "image"
STAGES = dict(
    re.findall(
        r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", (ROOT / "Dockerfile").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
)


def copied(stage: str) -> set[str]:
    """Return the files and folders that a stage takes from the tree."""
    lines = re.findall(r"^COPY ((?!--from).+) \S+$", STAGES[stage], re.MULTILINE)
    return {path for line in lines for path in line.split()}


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_copies_is_there_and_is_sent_to_the_engine(stage: str) -> None:
    sent = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    for path in copied(stage):
        assert (ROOT / path).exists(), path
        assert any(path == one or path.startswith(f"{one}/") for one in sent), path


@pytest.mark.parametrize(
    ("stage", "distributions"),
    [("gateway-build", {"cqox", "services"}), ("engine-build", {"cqox", "cqox_assets", "services"})],
)
def test_a_stage_builds_the_distributions_whose_code_it_copies(stage: str, distributions: set[str]) -> None:
    [folders] = re.findall(r"install\.sh --projects (.+)$", STAGES[stage], re.MULTILINE)
    packages = set()
    for folder in folders.split():
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))
        wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
        packages |= {path.partition("/")[0] for path in wheel.get("packages") or wheel["only-include"]}
    assert packages == distributions
    # The version is read from the root's `pyproject.toml`.
    assert distributions | {"pyproject.toml", "packages"} <= copied(stage)


def password(folder: Path, chosen: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", IMAGE / "make_password.py", folder]
    return subprocess.run(command, capture_output=True, text=True, env={"POSTGRES_PASSWORD": chosen})


def test_a_password_is_made_once_for_the_server_and_its_clients(tmp_path: Path) -> None:
    assert password(tmp_path).returncode == 0
    made = (tmp_path / "postgres-password").read_text()
    assert len(made) >= 32
    assert (tmp_path / "pgpass").read_text() == f"*:*:*:*:{made}\n"
    # Libpq ignores a file of passwords that others may read; the server reads its own as another user.
    assert (tmp_path / "pgpass").stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "postgres-password").stat().st_mode & 0o777 == 0o444

    assert password(tmp_path).returncode == 0
    assert (tmp_path / "postgres-password").read_text() == made


def test_a_password_that_was_chosen_is_taken_and_escaped_for_clients(tmp_path: Path) -> None:
    assert password(tmp_path, r"a:b\c").returncode == 0
    assert (tmp_path / "postgres-password").read_text() == r"a:b\c"
    assert (tmp_path / "pgpass").read_text() == "*:*:*:*:a\\:b\\\\c\n"


def test_another_password_than_that_of_the_database_is_refused(tmp_path: Path) -> None:
    password(tmp_path, "first")
    refused = password(tmp_path, "second")
    assert refused.returncode != 0
    assert "POSTGRES_PASSWORD" in refused.stderr
    assert (tmp_path / "postgres-password").read_text() == "first"


@contextmanager
def answering(status: int) -> Iterator[int]:
    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response({"/health/ready": status, "/health/live": 200}.get(self.path, 404))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def healthy(port: int, *path: str) -> bool:
    command = [sys.executable, "-SE", IMAGE / "healthcheck.py", str(port), *path]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize(("status", "expected"), [(200, True), (503, False), (500, False)])
def test_a_service_is_healthy_while_it_takes_requests(status: int, expected: bool) -> None:
    with answering(status) as port:
        assert healthy(port) is expected


def test_another_path_is_asked_for_where_one_is_given() -> None:
    with answering(503) as port:
        assert healthy(port, "/health/live") is True
    with answering(200) as port:
        assert healthy(port, "/health/nothing") is False


def test_a_service_that_does_not_listen_is_not_healthy() -> None:
    assert not healthy(free_port())


def certificates(folder: Path, hosts: str = "") -> str:
    for part in ("all", "gateway", "engine", "postgres", "redis"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-I", IMAGE / "make_certificates.py", folder]
    made = subprocess.run(command, capture_output=True, text=True, env={"CQOX_ALLOWED_HOSTS": hosts})
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_certificates_are_made_once_and_each_container_gets_its_own(tmp_path: Path) -> None:
    assert [line.split(":")[0] for line in certificates(tmp_path).splitlines()] == [
        "gateway", "engine", "postgres", "redis",
    ]  # fmt: skip
    for part in ("gateway", "engine"):
        assert Credentials(tmp_path / part).current().identity == f"spiffe://cqox/{part}"
        assert current_version(tmp_path / part).key.stat().st_mode & 0o777 == 0o600
    for part in ("postgres", "redis"):
        # Read by another user, who makes a file of its own of it; nobody else has the volume.
        assert (tmp_path / part / "key.pem").stat().st_mode & 0o777 == 0o444
        assert part in Authority(tmp_path / "all").show(part).names
    key = (tmp_path / "redis" / "key.pem").read_bytes()
    assert certificates(tmp_path) == ""
    assert (tmp_path / "redis" / "key.pem").read_bytes() == key


def test_certificates_are_renewed_at_half_of_their_life_and_for_another_host(tmp_path: Path) -> None:
    certificates(tmp_path)
    authority = Authority(tmp_path / "all")
    authority.issue("redis", days=10, names=authority.show("redis").names, begin=datetime.now(UTC) - timedelta(days=6))
    assert certificates(tmp_path).startswith("redis: a new certificate until ")
    assert len(certificates(tmp_path, "cqox.example.com, *.lab.example.com,*").splitlines()) == 4
    assert {"cqox.example.com", "*.lab.example.com"} < set(authority.show("gateway").names)
    assert certificates(tmp_path, "cqox.example.com") == ""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Service]:
    """A gateway that demands the certificate of another part than its own."""
    certificates(tmp_path / "tls")
    settings = {
        "CQOX_DATA_DIR": str(tmp_path / "data"),
        "CQOX_GATEWAY_PORT": "0",
        "CQOX_TLS_DIR": str(tmp_path / "tls" / "gateway"),
        "CQOX_TLS_PEERS": "spiffe://cqox/client",
    }
    service = Service([sys.executable, "-m", "services.gateway"], {**os.environ, **settings})
    yield service
    service.stop()


def test_the_health_check_of_a_service_with_tls_shows_its_own_certificate(gateway: Service, tmp_path: Path) -> None:
    folder = str(tmp_path / "tls" / "gateway")
    port = gateway.url.rpartition(":")[2]
    command = [sys.executable, "-SE", IMAGE / "healthcheck.py", port]
    asked = subprocess.run(command, capture_output=True, text=True, env={"CQOX_TLS_DIR": folder})
    assert asked.returncode == 0, asked.stdout
    assert '"gateway"' in asked.stdout
    other = subprocess.run(
        command, capture_output=True, text=True, env={"CQOX_TLS_DIR": str(tmp_path / "tls" / "all" / "authority")}
    )
    assert other.returncode == 1
