"""Header fields between gateway and engine that say who a request comes from."""

from cqox.security import HopKeys, HopKeyUnusable
from services.config.about import Service
from services.config.configuration import SettingsError
from services.config.settings import Settings

__all__ = ["GATEWAY_IDENTITY", "PRINCIPAL", "SIGNATURE", "hop_keys"]

PRINCIPAL = b"x-cqox-principal"
"""Header field with the principal, as `cqox.security.encode` writes it."""

SIGNATURE = b"x-cqox-principal-signature"
"""Header field with the signature of the principal; absent where mutual TLS identifies the gateway."""

GATEWAY_IDENTITY = "spiffe://cqox/gateway"
"""The identity in a gateway's certificate, which a server of mutual TLS leaves in the state of the scope as `peer`."""


def hop_keys(settings: Settings, service: Service) -> HopKeys | None:
    """Return the keys of the signatures between gateway and engine; None where there are none.

    Args:
        settings: the settings in force.
        service: the one that is started.

    Raises:
        SettingsError: one is too short, or a mode with logins is set with neither a key nor certificates.
    """
    if not settings.hop_keys:
        if settings.authenticates and not _has_certificates(settings, service):
            raise SettingsError(
                f"CQOX_AUTH={settings.auth} needs a secret by which engines recognize their gateway: write 32 or more "
                "random characters, such as those of `openssl rand -hex 32`, to a file that only these services can "
                "read, and set CQOX_HOP_KEY_FILE to its path for gateways and engines. Certificates do as well: "
                f"CQOX_TLS_DIR for both, and CQOX_TLS_PEERS={GATEWAY_IDENTITY} for engines."
            )
        return None
    try:
        return HopKeys(settings.hop_keys)
    except HopKeyUnusable as error:
        raise SettingsError(f"CQOX_HOP_KEY: {error}.") from None


def _has_certificates(settings: Settings, service: Service) -> bool:
    if settings.tls_dir_of(service) is None:
        return False
    return service == "gateway" or GATEWAY_IDENTITY in settings.peers
