"""Both services with everything from a vault: secrets, certificates and users of PostgreSQL; set up by the how-to page.

`make vault` runs it for longer; a test runs a short one.
"""

import argparse
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trio

from cqox.certificates import CertificatesUnusable, current_version
from tests.e2e.stack import Stack, build
from tests.servers.openbao import OpenBao, binary
from tests.servers.postgres_users import GuardedPostgres
from tests.waiting import PATIENCE_SECONDS, wait_until

__all__ = ["Load", "Vaulted", "main", "page_commands", "vaulted"]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "vault.md"
_CLIENTS = 4


def page_commands() -> str:
    """Return the commands of the page, which are indented and begin with a program."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    texts = [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") for block in blocks]
    return "\n".join(text for text in texts if not re.match(r"[A-Z_]+=", text))


def page_sql() -> str:
    """Return the statements of the page."""
    return "\n".join(re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


@dataclass
class Load:
    """The answers to requests that several threads send until it ends."""

    answers: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> dict[str, int]:
        """The answers that are not 200."""
        return {said: number for said, number in self.answers.items() if said != "200"}


@dataclass
class Vaulted:
    """A running system.

    Attributes:
        stack: the services.
        bao: the vault.
        postgres: the database.
        folder: their files.
        key: an API key of a steward.
    """

    stack: Stack
    bao: OpenBao
    postgres: GuardedPostgres
    folder: Path
    key: str = ""

    def client(self, service: str = "gateway") -> httpx.Client:
        """A client that trusts the authorities of the vault; towards an engine with the gateway's certificate."""
        version = current_version(self.folder / "tls" / "gateway")
        context = ssl.create_default_context(cafile=str(version.ca))
        if service == "engine":
            context.load_cert_chain(version.cert, version.key)
        port = getattr(self.stack, service).port
        return httpx.Client(
            base_url=f"https://localhost:{port}",
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
            verify=context,
            timeout=60,
            trust_env=False,
        )

    def degraded(self, service: str) -> dict[str, str]:
        """Return what a service says of its parts; it has to be ready."""
        with self.client(service) as client:
            answer = client.get("/health/ready")
            return dict(answer.json()["degraded"]) | ({} if answer.status_code == 200 else {"ready": "no"})

    def versions(self, service: str) -> int:
        """Return how many certificates a service has had."""
        return len(list((self.folder / "tls" / service).glob("v-*")))

    @property
    def log(self) -> str:
        return self.stack.gateway.log + self.stack.engine.log

    @contextmanager
    def load(self) -> Iterator[Load]:
        """Send requests meanwhile, over new connections every few of them."""
        found, ending, lock = Load(), threading.Event(), threading.Lock()

        def work(number: int) -> None:
            while not ending.is_set():
                with self.client() as client:
                    for _ in range(10):
                        said = _ask(client, number)
                        with lock:
                            found.answers[said] += 1
                        number += 1

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(_CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield found
        finally:
            ending.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS)


def _ask(client: httpx.Client, number: int) -> str:
    try:
        if number % 3 == 0:
            answer = client.post("/api/roles/infer", json={"dataset_id": "test"})
        elif number % 3 == 1:
            # Reads the database.
            answer = client.get("/api/analyses")
        else:
            answer = client.get("/api/datasets")
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return str(answer.status_code) if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"


def run_page(bao: OpenBao, postgres: GuardedPostgres, folder: Path) -> None:
    """Run every command of the page, in its order."""
    for statement in filter(str.strip, page_sql().split(";")):
        postgres.execute(statement)
    (folder / "vault-password").write_text("a password that the vault replaces")
    programs = folder / "bin"
    programs.mkdir()
    (programs / "bao").symlink_to(binary())
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", page_commands()],
        cwd=folder,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "BAO_ADDR": bao.url,
            "BAO_TOKEN": bao.root,
            "DATABASE": f"127.0.0.1:{postgres.port}",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def shorten(bao: OpenBao, *, user: int, longest_user: int, certificate: int, token: int) -> None:
    """Let what the vault issues live for so many seconds."""
    roles = {
        "database/roles/cqox": {"default_ttl": user, "max_ttl": longest_user},
        **{f"pki/roles/cqox-{each}": {"ttl": certificate, "not_before_duration": 1} for each in ("gateway", "engine")},
        **{f"auth/approle/role/cqox-{each}": {"token_period": token} for each in ("gateway", "engine")},
    }
    for path, changes in roles.items():
        before = {} if path.startswith("auth/") else bao.request("GET", path)
        bao.write(path, **(before | changes))


def prepared(folder: Path, bao: OpenBao, postgres: GuardedPostgres) -> Stack:
    """Return both services with the settings of the page."""
    stack = build(
        folder,
        CQOX_VAULT_ADDR=bao.url,
        CQOX_VAULT_ROLE_FILE=str(folder / "{service}.json"),
        CQOX_VAULT_PKI_ROLE="cqox-{service}",
        CQOX_TLS_DIR=str(folder / "tls" / "{service}"),
        CQOX_ALLOWED_HOSTS="cqox.example.com",
        CQOX_AUTH="keys",
        CQOX_KEYS="vault",
        CQOX_HOP_KEY="vault:secret/cqox/hop#key",
        CQOX_ADMIN_TOKEN="vault:secret/cqox/admin#token",
    )
    stack.engine.environment |= {
        "POSTGRES_URL": f"{postgres.bare_url}&sslmode=disable",
        "CQOX_VAULT_DATABASE_ROLE": "cqox",
        "CQOX_TLS_PEERS": "spiffe://cqox/gateway",
    }
    stack.gateway.environment["ENGINE_URL"] = f"https://127.0.0.1:{stack.engine.port}"
    return stack


def _new_key(stack: Stack) -> str:
    """Make an API key by the command, which gets a user of the database for that."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "cqox"), "keys", "create", "--role", "steward"],
        env={**os.environ, **stack.engine.environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def vaulted(folder: Path, *, user: int, longest_user: int = 0, certificate: int, token: int) -> Iterator[Vaulted]:
    """Run everything; what the vault issues lives for so many seconds."""
    bao, postgres = OpenBao(), GuardedPostgres()
    try:
        bao.start()
        postgres.guard(with_vault=False)
        trio.run(postgres.migrate)
        run_page(bao, postgres, folder)
        shorten(bao, user=user, longest_user=longest_user, certificate=certificate, token=token)
        stack = prepared(folder, bao, postgres)
        found = Vaulted(stack, bao, postgres, folder)
        try:
            stack.engine.start()
            stack.gateway.start()
            wait_until(lambda: _is_healthy(found), failure=lambda: found.log)
            found.key = _new_key(stack)
            wait_until(lambda: _answers(found), failure=lambda: found.log)
            yield found
        finally:
            stack.gateway.kill()
            stack.engine.kill()
    finally:
        bao.close()
        postgres.close()


def _is_healthy(system: Vaulted) -> bool:
    for service in (system.stack.engine, system.stack.gateway):
        assert service.process.poll() is None, service.log
    try:
        return not system.degraded("gateway") and not system.degraded("engine")
    except (httpx.TransportError, CertificatesUnusable, OSError):
        return False


def _answers(system: Vaulted) -> bool:
    with system.client() as client:
        return all(_ask(client, number) == "200" for number in range(3))


def main() -> int:
    """Run for a while and print what came of it; return 1 where a request failed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--sealed", type=float, default=8.0)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        vaulted(Path(name), user=30, longest_user=45, certificate=30, token=30) as system,
    ):
        users = set[str]()
        with system.load() as load:
            half = time.monotonic() + given.seconds / 2
            while time.monotonic() < half:
                users |= system.postgres.users()
                time.sleep(1)
            with system.bao.sealed():
                end = time.monotonic() + given.sealed
                while time.monotonic() < end:
                    time.sleep(1)
                said = {service: system.degraded(service) for service in ("gateway", "engine")}
            end = time.monotonic() + given.seconds / 2
            while time.monotonic() < end:
                users |= system.postgres.users()
                time.sleep(1)
        certificates = {service: system.versions(service) for service in ("gateway", "engine")}
        print(f"{load.answers.total():,} requests, {given.sealed:g} s of them with a sealed vault")
        print(f"{len(users)} users of PostgreSQL, certificates: {certificates}")
        for service, parts in said.items():
            print(f"{service}, sealed: {parts}")
        print(f"failed: {load.failed}")
        if load.failed:
            print(system.log[-5000:])
        return int(bool(load.failed))


if __name__ == "__main__":
    sys.exit(main())
