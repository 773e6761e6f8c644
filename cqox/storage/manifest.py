"""Manifest of a data set: its record, and the digest of every file."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b, file_digest
from pathlib import Path

from cqox.encryption import SealBroken
from cqox.storage.contracts import DatasetRecord
from cqox.storage.disk import exclusive_lock
from cqox.storage.file_operations import sync
from cqox.storage.private import tighten_one
from cqox.storage.sealing import TenantSealing

__all__ = [
    "MANIFEST",
    "Manifest",
    "digest_of",
    "manifest_of",
    "opened_manifest",
    "read_manifest",
    "rename_in_manifest",
    "replace_manifest",
    "sealed_manifest",
    "write_manifest",
]

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The manifest of one data set.

    Attributes:
        record: the data set as it should be registered.
        digests: file name to BLAKE2b digest, for every file but the manifest.
    """

    record: DatasetRecord
    digests: Mapping[str, str]


def digest_of(path: Path) -> str:
    """Return the BLAKE2b digest of a file, 32 hexadecimal characters."""
    with path.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()


def write_manifest(folder: Path, record: DatasetRecord, sealing: TenantSealing) -> None:
    """Write the manifest of the files that are in the folder now."""
    _write(folder, manifest_of(folder, record), sealing)


def manifest_of(folder: Path, record: DatasetRecord) -> Manifest:
    """Return the manifest of the files that are in the folder now."""
    digests = {path.name: digest_of(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    return Manifest(record=record, digests=digests)


def replace_manifest(folder: Path, manifest: Manifest, sealing: TenantSealing) -> None:
    """Write a manifest that is known."""
    _write(folder, manifest, sealing)


def rename_in_manifest(place: Path, scratch: Path, name: str, sealing: TenantSealing) -> None:
    """Replace the name in a manifest atomically; a data set without one is left as it is.

    Args:
        place: the folder of the data set. It never holds another file meanwhile, which a reader might link.
        scratch: an empty folder on the same file system.
        name: the new name.
        sealing: encryption at rest.
    """
    # Under the lock of those that exchange the folder: in another one these digests would condemn its files.
    with exclusive_lock(place.parent):
        manifest = read_manifest(place, place.name, sealing)
        if manifest is None:
            return
        _write(scratch, replace(manifest, record=replace(manifest.record, name=name)), sealing)
        tighten_one(scratch / MANIFEST)
        sync(scratch / MANIFEST)
        # A data set that was deleted meanwhile has no folder.
        with suppress(FileNotFoundError):
            (scratch / MANIFEST).replace(place / MANIFEST)
            sync(place)


def read_manifest(folder: Path, dataset_id: str, sealing: TenantSealing) -> Manifest | None:
    """Return the manifest in the folder; None if it is missing or damaged.

    Args:
        folder: the files, in place or linked.
        dataset_id: the data set that they belong to.
        sealing: encryption at rest.

    Raises:
        StoreUnavailable: it is sealed, and its key is not there.
        OSError: it is there, and cannot be read now.
    """
    try:
        return opened_manifest((folder / MANIFEST).read_bytes(), dataset_id, sealing)
    except FileNotFoundError:
        return None


def opened_manifest(stored: bytes, dataset_id: str, sealing: TenantSealing) -> Manifest | None:
    """Return the manifest that is stored as these bytes; None if it is damaged.

    Raises:
        StoreUnavailable: it is sealed, and its key is not there.
    """
    try:
        content = json.loads(sealing.open(stored, _context(dataset_id)))
        values = content["record"]
        others = {"description": values["description"].encode(), "owner": content.get("owner")}
        record = DatasetRecord(**values | others)
        return Manifest(record=record, digests=dict(content["digests"]))
    except (SealBroken, ValueError, KeyError, TypeError, AttributeError):
        return None


def sealed_manifest(manifest: Manifest, sealing: TenantSealing) -> bytes:
    """Return the bytes of a manifest as they are stored."""
    return sealing.seal(_encoded(manifest), _context(manifest.record.dataset_id))


def _write(folder: Path, manifest: Manifest, sealing: TenantSealing) -> None:
    sealing.write_file(folder / MANIFEST, _encoded(manifest), _context(manifest.record.dataset_id))


def _encoded(manifest: Manifest) -> bytes:
    values = asdict(manifest.record) | {"description": manifest.record.description.decode()}
    # Outside of the record: earlier releases refuse one with a member that they do not know.
    content = {"record": values, "digests": manifest.digests, "owner": values.pop("owner")}
    return json.dumps(content, ensure_ascii=False).encode()


def _context(dataset_id: str) -> str:
    return f"manifest/{dataset_id}"
