"""The settings of access: who may use the services, and what gateway and engine trust of each other.

They are the first fields of `services.config.settings.Settings`.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from services.config.about import About

__all__ = ["AuthMode", "SecuritySettings"]

type AuthMode = Literal["local", "open", "keys"]
"""The authentication of requests: not at all on loopback, not at all anywhere, or by API keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuritySettings:
    """The part of the settings that decides who may do what."""

    auth: Annotated[
        Literal["local", "open", "keys"],
        About(
            "CQOX_AUTH",
            "Who may use the services: local (everybody on this machine; other addresses to listen on are refused), "
            "open (everybody who reaches them) or keys (holders of an API key).",
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

    @property
    def hop_keys(self) -> tuple[str, ...]:
        """The secrets between gateway and engine; none where the principal is not signed."""
        return tuple(key for key in (part.strip() for part in self.hop_key.split(",")) if key)
