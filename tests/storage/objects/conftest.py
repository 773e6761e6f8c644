from collections.abc import Callable
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from cqox.storage import DataDirectory
from cqox.storage.objects import ObjectVolume
from cqox.storage.objects.client import Objects
from cqox.storage.objects.copies import LocalCopies
from cqox.storage.objects.failures import object_policy


@pytest.fixture
def objects() -> Objects:
    """An empty object store in memory."""
    return Objects(MemoryStore(), policy=object_policy(recovery_seconds=60.0))


@pytest.fixture
def open_directory(objects: Objects, tmp_path: Path) -> Callable[..., DataDirectory]:
    """Return a function that opens the data directory of another engine on the object store."""
    opened = list[Path]()

    def open_one(*, copies_bytes: int = 10**6, **bounds: int) -> DataDirectory:
        folder = tmp_path / f"engine-{len(opened)}"
        opened.append(folder)
        volume = ObjectVolume(objects, LocalCopies(folder / "copies", most_bytes=copies_bytes))
        return DataDirectory(folder, volume=volume, **bounds)

    return open_one
