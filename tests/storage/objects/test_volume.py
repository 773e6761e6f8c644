from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from obstore.store import MemoryStore

from cqox.errors import ObjectStoreUnfit, StoreUnavailable
from cqox.storage import DataDirectory
from cqox.storage.objects import ObjectVolume
from cqox.storage.objects.address import Keys, ObjectStoreAddress
from cqox.storage.objects.client import Objects
from cqox.storage.objects.copies import LocalCopies
from tests.servers import ObjectStore, running
from tests.storage.objects.test_probe import Ignoring

pytestmark = pytest.mark.anyio


async def test_nothing_is_written_to_a_store_before_it_is_known_to_be_fit(tmp_path: Path) -> None:
    store: Any = Ignoring("create")
    volume = ObjectVolume(Objects(store), LocalCopies(tmp_path / "copies", most_bytes=0))
    files = DataDirectory(tmp_path, volume=volume).within("default")
    for _ in range(2):
        with pytest.raises(ObjectStoreUnfit):
            await files.write_figure(files.figure("r", "forest", "svg"), b"")
    with pytest.raises(ObjectStoreUnfit):
        await volume.check()
    assert volume.objects.list("tenants/") == []


async def test_a_store_is_probed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = ObjectVolume(Objects(MemoryStore()), LocalCopies(tmp_path / "copies", most_bytes=0))
    await volume.check()
    monkeypatch.setattr("cqox.storage.objects.volume.probe", lambda _: pytest.fail("probed again"))
    await volume.check()


@pytest.mark.xdist_group("servers")
async def test_a_store_that_was_away_at_the_start_is_used_once_it_is_there(tmp_path: Path) -> None:
    server = ObjectStore()
    keys = Keys(access_key="which", secret_key="hush")
    address = ObjectStoreAddress(bucket="later", endpoint=server.endpoint, keys=keys)
    volume = ObjectVolume.open(address, tmp_path, copies_bytes=0)
    files = DataDirectory(tmp_path, volume=volume).within("default")
    for call in (volume.check, files.drawn):
        with pytest.raises(StoreUnavailable, match="failed"):
            await call()
    with running(server):
        server._request("PUT", "/later")
        await anyio.sleep(5.5)
        await volume.check()
        assert await files.drawn() == {}


async def test_a_work_folder_is_no_tenant(open_directory: Callable[..., DataDirectory]) -> None:
    directory = open_directory()
    assert directory.within("acme").scratch.exists()
    assert await directory.tenants() == ["default"]
