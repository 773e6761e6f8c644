"""Client of a vault (OpenBao): secrets, database users, certificates, and keys that never leave it."""

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
