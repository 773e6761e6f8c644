"""The settings of access: who may use the services, and what gateway and engine trust of each other.

They are the first fields of `services.config.settings.Settings`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from services.config.about import About

__all__ = ["AuthMode", "SecuritySettings"]

type AuthMode = Literal["local", "open", "keys", "oidc"]
"""The authentication of requests: none on loopback, none anywhere, by API keys, or by access tokens and API keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuritySettings:
    """The part of the settings that decides who may do what."""

    auth: Annotated[
        Literal["local", "open", "keys", "oidc"],
        About(
            "CQOX_AUTH",
            "Who may use the services: local (everybody on this machine; other addresses to listen on are refused), "
            "open (everybody who reaches them), keys (holders of an API key) or oidc (holders of an access token of an "
            "OpenID provider, or of an API key).",
        ),
    ] = "local"
    hop_key: Annotated[
        str,
        About(
            "CQOX_HOP_KEY",
            "Secret of at least 32 characters by which the gateway signs for an engine who a request comes from; "
            "the same for both; two, separated by a comma, while it is replaced.",
            shown="none",
            secret="token",
        ),
    ] = field(default="", repr=False)

    keys: Annotated[
        Literal["", "none", "file", "vault"],
        About(
            "CQOX_KEYS",
            "Encryption of what is stored: none, by keys in a file (file), or by keys of a vault (vault). With "
            "CQOX_AUTH=keys or oidc it has to be said.",
            shown="none",
            services=("engine", "up"),
        ),
    ] = ""
    key_ring: Annotated[
        Path,
        About(
            "CQOX_KEY_RING",
            "File of the keys of CQOX_KEYS=file; it is made, and belongs into no backup of the data.",
            shown="keyring.json in the data directory",
            services=("engine", "up"),
        ),
    ] = Path()

    requests_per_minute: Annotated[
        int,
        About(
            "CQOX_REQUESTS_PER_MINUTE",
            "Most requests of one API key in a minute, as many at once after an idle minute; beyond it they are "
            "rejected with 429. 0 for no limit; without CQOX_AUTH=keys there is none.",
            minimum=0,
            services=("gateway", "up"),
        ),
    ] = 0
    cpu_seconds_per_hour: Annotated[
        int,
        About(
            "CQOX_CPU_SECONDS_PER_HOUR",
            "CPU seconds that the analyses and previews of one tenant may use in an hour, as many at once after an "
            "idle hour; beyond it they are rejected with 429. 0 for no limit; without a login there is none.",
            minimum=0,
            services=("engine", "up"),
        ),
    ] = 0
    upload_bytes_per_day: Annotated[
        int,
        About(
            "CQOX_UPLOAD_BYTES_PER_DAY",
            "Bytes that one tenant may upload in a day; beyond it uploads are rejected with 429. 0 for no limit; "
            "without a login there is none.",
            minimum=0,
            services=("gateway", "up"),
        ),
    ] = 0
    audit: Annotated[
        Literal["auto", "on", "off"],
        About(
            "CQOX_AUDIT",
            "Whether the result store keeps a log of who has read and changed what: on, off, or auto, which is on with "
            "CQOX_AUTH=keys and oidc.",
        ),
    ] = "auto"
    oidc_issuer: Annotated[
        str,
        About(
            "CQOX_OIDC_ISSUER",
            "Address of the OpenID provider whose access tokens are accepted, exactly as it stands in its tokens.",
            shown="none",
            services=("gateway", "up"),
        ),
    ] = ""
    oidc_audience: Annotated[
        str,
        About(
            "CQOX_OIDC_AUDIENCE",
            "The audience that an access token must be for.",
            shown="none",
            services=("gateway", "up"),
        ),
    ] = ""
    oidc_tenant_claim: Annotated[
        str,
        About("CQOX_OIDC_TENANT_CLAIM", "The claim of an access token with the tenant.", services=("gateway", "up")),
    ] = "tenant"
    oidc_roles_claim: Annotated[
        str,
        About("CQOX_OIDC_ROLES_CLAIM", "The claim of an access token with the roles.", services=("gateway", "up")),
    ] = "roles"

    oidc_client_id: Annotated[
        str,
        About(
            "CQOX_OIDC_CLIENT_ID",
            "The page's client at the provider, with the redirect address `/sign-in` of this gateway; without one the "
            "page asks for an API key.",
            shown="none",
            services=("gateway", "up"),
        ),
    ] = ""
    oidc_client_secret: Annotated[
        str,
        About(
            "CQOX_OIDC_CLIENT_SECRET",
            "Secret of that client, where the provider requires one.",
            shown="none",
            secret="token",
            services=("gateway", "up"),
        ),
    ] = field(default="", repr=False)
    oidc_cli_client_id: Annotated[
        str,
        About(
            "CQOX_OIDC_CLI_CLIENT_ID",
            "The public client of `cqox login` at the provider, with the device flow, or with redirects to any port of "
            "127.0.0.1; without one `cqox login` has to be given a client.",
            shown="none",
            services=("gateway", "up"),
        ),
    ] = ""
    oidc_scope: Annotated[
        str, About("CQOX_OIDC_SCOPE", "Scopes that the page and `cqox login` ask for.", services=("gateway", "up"))
    ] = "openid"

    @property
    def authenticates(self) -> bool:
        """True where a request needs a key or a token."""
        return self.auth in ("keys", "oidc")

    @property
    def audits(self) -> bool:
        """True where requests are recorded in the audit log."""
        return self.audit == "on" or (self.audit == "auto" and self.authenticates)

    @property
    def hop_keys(self) -> tuple[str, ...]:
        """The secrets between gateway and engine; none where the principal is not signed."""
        return tuple(key for key in (part.strip() for part in self.hop_key.split(",")) if key)
