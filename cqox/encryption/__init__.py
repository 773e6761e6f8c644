"""Encryption at rest: keys of tenants, data keys wrapped by them, and sealed files and values."""

from cqox.encryption.keyring import KEY_BYTES, MOST_WRAPPED_BYTES, DataKey, KeyDestroyed, KeyRing, KeysUnavailable

__all__ = ["KEY_BYTES", "MOST_WRAPPED_BYTES", "DataKey", "KeyDestroyed", "KeyRing", "KeysUnavailable"]
