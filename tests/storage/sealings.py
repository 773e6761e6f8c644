"""Encryption at rest for tests: off, and on with a key ring in a file."""

from pathlib import Path

from cqox.encryption.file_keyring import FileKeyRing
from cqox.storage import SealedStore, Sealing
from cqox.storage.sealing import TenantSealing

__all__ = ["SealedWhole", "sealing_in"]


def sealing_in(folder: Path, *, is_on: bool = True) -> Sealing:
    """Return encryption at rest with a key ring in a folder of its own next to this one."""
    if not is_on:
        return Sealing()
    keys = folder.with_name(f"{folder.name}-keys")
    keys.mkdir(exist_ok=True)
    return Sealing(FileKeyRing(keys / "keyring.json"))


class SealedWhole(SealedStore):
    """A sealed store with the methods that belong to no tenant, which are those of the store below it."""

    def __init__(self, store: object, sealing: TenantSealing) -> None:
        super().__init__(store, sealing)  # type: ignore[arg-type]
        self._below = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._below, name)
