"""Contract of key rings: they hold one key for each tenant, which never leaves them, and wrap data keys with it.

A data key encrypts data, and is stored with them in its wrapped form. Destroying the key of a tenant makes all of its
data unreadable, also in backups (envelope encryption; crypto-shredding in NIST SP 800-88 Rev. 1, 2.6).
"""

from dataclasses import dataclass, field
from typing import Protocol

__all__ = [
    "KEY_BYTES",
    "MAGIC",
    "MOST_WRAPPED_BYTES",
    "DataKey",
    "KeyDestroyed",
    "KeyRing",
    "KeysUnavailable",
    "SealBroken",
    "is_sealed",
]

MAGIC = b"CQOXSEAL"
"""The first bytes of everything that is sealed."""

KEY_BYTES = 32
"""Length of a data key: AES-256."""

MOST_WRAPPED_BYTES = 1024
"""The longest wrapped form of a data key."""


class KeysUnavailable(Exception):
    """The key ring cannot be asked now: it is sealed, does not answer, or refuses this service."""


class KeyDestroyed(Exception):
    """The data key cannot be unwrapped by any key of its tenant: the tenant's key was destroyed, or is another one."""


class SealBroken(Exception):
    """Sealed bytes were changed, cut off or moved to another place."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key.

    Attributes:
        wrapped: what the key ring unwraps it from; no secret, at most `MOST_WRAPPED_BYTES`.
        plain: the key, `KEY_BYTES` long.
    """

    wrapped: bytes
    plain: bytes = field(repr=False)


class KeyRing(Protocol):
    """Keys of tenants. Its methods block, and may be called by several threads at once."""

    def new_data_key(self, tenant_id: str) -> DataKey:
        """Return a new random data key, wrapped by the newest key of a tenant, which is made if the tenant has none.

        Raises:
            KeysUnavailable: the ring cannot be asked now.
        """
        ...

    def unwrap(self, tenant_id: str, wrapped: bytes) -> bytes:
        """Return the data key of a wrapped form.

        Raises:
            KeyDestroyed: no key of the tenant unwraps it.
            KeysUnavailable: the ring cannot be asked now.
        """
        ...

    def is_current(self, tenant_id: str, wrapped: bytes) -> bool:
        """Return whether a data key is wrapped by the newest key of a tenant.

        Raises:
            KeysUnavailable: the ring cannot be asked now.
        """
        ...

    def rotate(self, tenant_id: str) -> None:
        """Give a tenant a new key for the data keys that follow; earlier ones are still unwrapped.

        Raises:
            KeysUnavailable: the ring cannot be asked now.
        """
        ...

    def destroy(self, tenant_id: str) -> bool:
        """Destroy all keys of a tenant for ever; return whether it had any.

        Raises:
            KeysUnavailable: the ring cannot be asked now.
        """
        ...

    def check(self) -> None:
        """Check that the ring answers.

        Raises:
            KeysUnavailable: it does not.
        """
        ...


def is_sealed(head: bytes) -> bool:
    """Return whether bytes are the beginning of something sealed."""
    return head[: len(MAGIC)] == MAGIC
