"""Encryption at rest: keys of tenants, data keys wrapped by them, and sealed files and values.

`cqox.encryption.sealed_stream` and `cqox.encryption.file_keyring` load the package `cryptography`; nothing else does.
"""

from cqox.encryption.keyring import (
    KEY_BYTES,
    MOST_WRAPPED_BYTES,
    DataKey,
    KeyDestroyed,
    KeyRing,
    KeysUnavailable,
    SealBroken,
    is_sealed,
)
from cqox.encryption.sealer import Sealer

__all__ = [
    "KEY_BYTES",
    "MOST_WRAPPED_BYTES",
    "DataKey",
    "KeyDestroyed",
    "KeyRing",
    "KeysUnavailable",
    "SealBroken",
    "Sealer",
    "is_sealed",
]
