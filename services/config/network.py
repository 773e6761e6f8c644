"""Settings of addresses and TLS, which both services and every tool that reaches them need."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from services.config.about import About
from services.config.security_settings import SecuritySettings

__all__ = ["NetworkSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings(SecuritySettings):
    """The first settings of `Settings`."""

    host: Annotated[
        str, About("CQOX_HOST", "Name or address to listen on; 0.0.0.0 or :: for every network of the machine.")
    ] = "127.0.0.1"
    allowed_hosts: Annotated[
        str,
        About(
            "CQOX_ALLOWED_HOSTS",
            "Allowed host names, separated by commas, such as cqox.example.com or *.example.com; * for all. IP "
            "addresses, localhost and a name in CQOX_HOST are always allowed.",
            shown="none",
        ),
    ] = ""
    gateway_port: Annotated[
        int,
        About(
            "CQOX_GATEWAY_PORT",
            "Port of the gateway; 0 takes a free one.",
            minimum=0,
            maximum=65535,
            services=("gateway", "up"),
        ),
    ] = 8082
    engine_port: Annotated[
        int, About("CQOX_ENGINE_PORT", "Port of the engine; 0 takes a free one.", minimum=0, maximum=65535)
    ] = 8080
    engine_url: Annotated[
        str,
        About(
            "ENGINE_URL",
            "URL of the engine, or URLs of several engines separated by commas.",
            services=("gateway",),
            shown="http://127.0.0.1:CQOX_ENGINE_PORT",
        ),
    ] = ""
    tls_dir: Annotated[
        Path,
        About(
            "CQOX_TLS_DIR",
            "Directory of the certificate of this service, as `cqox certs` makes it; {service} stands for gateway or "
            "engine. With it the service is https, and it is used towards engines and stores.",
            shown="none",
        ),
    ] = Path()
    tls_peers: Annotated[
        str,
        About(
            "CQOX_TLS_PEERS",
            "Identities of the allowed clients, separated by commas, such as spiffe://cqox/gateway; a client "
            "certificate is then demanded.",
            shown="none: clients need no certificate",
        ),
    ] = ""
    tls_engine: Annotated[
        str,
        About(
            "CQOX_TLS_ENGINE",
            "Identity that the certificate of an engine must hold where CQOX_TLS_DIR is set.",
            services=("gateway",),
        ),
    ] = "spiffe://cqox/engine"

    @property
    def engine_urls(self) -> tuple[str, ...]:
        """URLs of the engines, at least one."""
        return tuple(url.strip() for url in self.engine_url.split(",") if url.strip())

    @property
    def peers(self) -> frozenset[str]:
        """Identities of the allowed clients; empty where clients need no certificate."""
        return frozenset(peer.strip() for peer in self.tls_peers.split(",") if peer.strip())

    def tls_dir_of(self, service: str) -> Path | None:
        """Return the certificate directory of a service; None where there is no TLS."""
        return None if self.tls_dir == Path() else Path(str(self.tls_dir).replace("{service}", service))

    def _complete_addresses(self) -> None:
        if not self.engine_url:
            scheme = "http" if self.tls_dir == Path() else "https"
            object.__setattr__(self, "engine_url", f"{scheme}://127.0.0.1:{self.engine_port}")
