"""Client of a vault (OpenBao): secrets, database users, certificates, and keys that never leave it.

Names are imported on first use: services check their settings before they load an HTTP client.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cqox.vault.access import VaultAccess, check_address
    from cqox.vault.client import Vault
    from cqox.vault.errors import VaultError, VaultMisused, VaultRefused, VaultRejected, VaultUnavailable
    from cqox.vault.keyring import TransitKeyRing, open_transit

__all__ = [
    "TransitKeyRing",
    "Vault",
    "VaultAccess",
    "VaultError",
    "VaultMisused",
    "VaultRefused",
    "VaultRejected",
    "VaultUnavailable",
    "check_address",
    "open_transit",
]

_MODULES = {
    "VaultAccess": "access",
    "check_address": "access",
    "Vault": "client",
    "VaultError": "errors",
    "VaultMisused": "errors",
    "VaultRefused": "errors",
    "VaultRejected": "errors",
    "VaultUnavailable": "errors",
    "TransitKeyRing": "keyring",
    "open_transit": "keyring",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
