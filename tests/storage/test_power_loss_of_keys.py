"""Keys and tenants under a power loss at each of their operations."""

from pathlib import Path

import pytest

from cqox.chaos.simulation.disk import PowerLoss, each_power_loss
from cqox.encryption import KeyDestroyed
from cqox.encryption.file_keyring import FileKeyRing
from cqox.storage import DataDirectory
from tests.storage.power_losses import is_whole, run, stored

# ---- keys, and tenants


def test_a_key_that_sealed_something_is_never_lost(disk: Path) -> None:
    for loss in each_power_loss(disk, seeds=1):
        keys = list[tuple[str, bytes, bytes]]()
        with loss.running():
            ring = FileKeyRing(loss.root / "keyring.json")
            loss.begin()
            for tenant in ("default", "acme"):
                key = ring.new_data_key(tenant)
                keys.append((tenant, key.wrapped, key.plain))
                ring.rotate(tenant)
        again = FileKeyRing(loss.root / "keyring.json")
        again.check()
        for tenant, wrapped, plain in keys:
            assert again.unwrap(tenant, wrapped) == plain, loss
        again.new_data_key("default")


def test_a_destroyed_key_is_gone_and_the_others_stay(disk: Path) -> None:
    for loss in each_power_loss(disk, seeds=1):
        with loss.running():
            ring = FileKeyRing(loss.root / "keyring.json")
            key, other = ring.new_data_key("default"), ring.new_data_key("acme")
            loss.begin()
            assert ring.destroy("default")
        again = FileKeyRing(loss.root / "keyring.json")
        assert again.unwrap("acme", other.wrapped) == other.plain, loss
        if loss.is_complete:
            with pytest.raises(KeyDestroyed):
                again.unwrap("default", key.wrapped)
            left = b"".join(path.read_bytes() for path in loss.root.iterdir())
            assert b'"default"' not in left, loss


def test_a_removed_tenant_stays_removed(disk: Path) -> None:
    async def run_it(loss: PowerLoss) -> None:
        directory = DataDirectory(loss.root, reserve_bytes=0)
        await stored(directory.within("acme"), "a")
        loss.begin()
        await directory.remove_tenant("acme")

    async def check(loss: PowerLoss) -> None:
        directory = DataDirectory(loss.root, reserve_bytes=0)
        assert not (loss.is_complete and "acme" in await directory.tenants()), loss
        if "acme" in await directory.tenants():
            await is_whole(directory.within("acme"), "a")
        await directory.remove_tenant("acme")
        assert "acme" not in await directory.tenants()

    for loss in each_power_loss(disk, seeds=1):
        with loss.running():
            run(run_it, loss)
        run(check, loss)
