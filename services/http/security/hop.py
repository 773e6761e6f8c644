"""Header fields between gateway and engine that say who a request comes from."""

from cqox.security import HopKeys, HopKeyUnusable
from services.config.configuration import SettingsError
from services.config.settings import Settings

__all__ = ["GATEWAY_IDENTITY", "PRINCIPAL", "SIGNATURE", "hop_keys"]

PRINCIPAL = b"x-cqox-principal"
"""Header field with the principal, as `cqox.security.encode` writes it."""

SIGNATURE = b"x-cqox-principal-signature"
"""Header field with the signature of the principal; absent where mutual TLS identifies the gateway."""

GATEWAY_IDENTITY = "spiffe://cqox/gateway"
"""The identity in a gateway's certificate, which a server of mutual TLS leaves in the state of the scope as `peer`."""


def hop_keys(settings: Settings) -> HopKeys | None:
    """Return the keys of the signatures between gateway and engine; None where there are none.

    Raises:
        SettingsError: one is too short, or a mode with logins is set without any.
    """
    if not settings.hop_keys:
        if settings.authenticates:
            raise SettingsError(
                f"CQOX_AUTH={settings.auth} needs a secret by which engines recognize their gateway: write 32 or more "
                "random characters, such as those of `openssl rand -hex 32`, to a file that only these services can "
                "read, and set CQOX_HOP_KEY_FILE to its path for gateways and engines."
            )
        return None
    try:
        return HopKeys(settings.hop_keys)
    except HopKeyUnusable as error:
        raise SettingsError(f"CQOX_HOP_KEY: {error}.") from None
