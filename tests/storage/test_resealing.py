"""Files of data sets that are encrypted otherwise: switched on, switched off, under a new key, while engines read."""

import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from cqox.encryption import is_sealed
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage import DataDirectory, FileStore, Original, Sealing, manifest, resealing
from cqox.storage.manifest import Manifest, replace_manifest
from cqox.storage.resealing import FormerOriginals, reseal_dataset, reseal_figures
from cqox.storage.sealing import TenantSealing
from tests.storage.records import a_dataset
from tests.storage.sealings import sealing_in

pytestmark = pytest.mark.anyio
ORIGINAL = b"y,w\n1,0\n"


async def kept(files: FileStore, name: str) -> None:
    """Keep a data set with its original, as an engine does."""
    folder = files.incoming()
    for file in ("table.parquet", "table.parquet.json"):
        files.sealing.write_file(folder / file, file.encode(), f"table/{name}/{file}")
    await files.keep(folder, a_dataset(name))


async def kept_original(files: FileStore, names: list[str]) -> None:
    upload = files.scratch / "upload"
    writer = files.upload_writer(upload.open("wb"))
    writer.write(ORIGINAL)
    writer.close()
    about = Original(name="a.csv", digest=await files.digest(upload), size_bytes=8, encoding="utf-8", options={})
    for name in names:
        await files.keep_original(name, upload, about)
    upload.unlink()


def contents(root: Path, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "datasets" / name).iterdir()}


@pytest.fixture
def sealing(tmp_path: Path) -> Sealing:
    return sealing_in(tmp_path)


async def test_plain_files_are_sealed_and_read_as_before(tmp_path: Path, sealing: Sealing) -> None:
    before = DataDirectory(tmp_path, originals_bytes=1000).within("default")
    await kept(before, "a")
    await kept(before, "b")
    await kept_original(before, ["a", "b"])
    os.utime(tmp_path / "datasets/a", (100.0, 100.0))
    files = DataDirectory(tmp_path, originals_bytes=1000, sealing=sealing).within("default")
    originals: FormerOriginals = {}
    for name in ("a", "b"):
        assert await reseal_dataset(files, name, originals)
        assert (await files.used_at(name) == 100.0) is (name == "a")
        assert all(is_sealed(content) for content in contents(tmp_path, name).values())
        assert await files.record(name) == a_dataset(name)
        assert await files.is_intact(name)
        async with files.reading_original(name, verify=True) as (about, _):
            assert about.name == "a.csv"
        assert not await reseal_dataset(files, name, originals)
    one, other = (tmp_path / "datasets" / name / "original" for name in ("a", "b"))
    assert one.stat().st_ino == other.stat().st_ino


async def test_a_new_key_and_back_to_plain(tmp_path: Path, sealing: Sealing) -> None:
    files = DataDirectory(tmp_path, sealing=sealing).within("default")
    await kept(files, "a")
    first = contents(tmp_path, "a")
    assert not await reseal_dataset(files, "a", {})
    assert sealing.ring is not None
    sealing.ring.rotate("default")
    again = DataDirectory(tmp_path, sealing=sealing_in(tmp_path)).within("default")
    assert await reseal_dataset(again, "a", {})
    assert all(first[name] != content for name, content in contents(tmp_path, "a").items())
    plain = DataDirectory(tmp_path, sealing=Sealing(sealing.ring, seals=False)).within("default")
    assert await reseal_dataset(plain, "a", {})
    off = DataDirectory(tmp_path).within("default")
    assert await off.record("a") == a_dataset("a")
    assert await off.is_intact("a")
    assert contents(tmp_path, "a")["table.parquet"] == b"table.parquet"


async def test_readers_find_the_old_files_or_the_new_ones(tmp_path: Path, sealing: Sealing) -> None:
    files = DataDirectory(tmp_path, sealing=sealing).within("default")
    await kept(files, "a")
    reads = 0

    async def read() -> None:
        nonlocal reads
        while True:
            async with files.reading("a") as table:
                context = table.keys.contexts[table.path.name].partition("\0")[2]
                assert files.sealing.read_file(table.path, context) == b"table.parquet"
                reads += 1

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        group.start_soon(read)
        for _ in range(20):
            assert sealing.ring is not None
            sealing.ring.rotate("default")
            other = DataDirectory(tmp_path, sealing=sealing_in(tmp_path)).within("default")
            assert await reseal_dataset(other, "a", {})
        group.cancel_scope.cancel()
    assert reads


async def test_what_an_engine_changes_meanwhile_is_not_lost(
    tmp_path: Path, sealing: Sealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(DataDirectory(tmp_path).within("default"), "a")
    files = DataDirectory(tmp_path, sealing=sealing).within("default")
    place = tmp_path / "datasets/a"

    def changed(folder: Path, manifest: Manifest, sealing: TenantSealing) -> None:
        replace_manifest(folder, manifest, sealing)
        (place / "original").write_bytes(ORIGINAL)

    monkeypatch.setattr("cqox.storage.resealing.replace_manifest", changed)
    with pytest.raises(StoreUnavailable, match="meanwhile"):
        await reseal_dataset(files, "a", {})
    monkeypatch.undo()
    assert (place / "original").read_bytes() == ORIGINAL
    (place / "original").unlink()
    assert await reseal_dataset(files, "a", {})


async def test_damaged_files_stay_as_they_are(tmp_path: Path, sealing: Sealing) -> None:
    await kept(DataDirectory(tmp_path).within("default"), "a")
    (tmp_path / "datasets/a/table.parquet").write_bytes(b"tablE.parquet")
    before = contents(tmp_path, "a")
    files = DataDirectory(tmp_path, sealing=sealing).within("default")
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await reseal_dataset(files, "a", {})
    assert contents(tmp_path, "a") == before
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_figures_are_removed_once(tmp_path: Path, sealing: Sealing) -> None:
    before = DataDirectory(tmp_path).within("default")
    await before.write_figure(before.figure("r", "forest", "svg"), b"<svg/>")
    files = DataDirectory(tmp_path, sealing=sealing).within("default")
    assert await reseal_figures(files) == 1
    await files.write_figure(files.figure("r", "forest", "svg"), b"<svg/>")
    assert await reseal_figures(files) == 0
    assert await files.read_figure(files.figure("r", "forest", "svg")) == b"<svg/>"


async def test_a_rename_in_the_middle_of_it_condemns_no_data_set(
    tmp_path: Path, sealing: Sealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(DataDirectory(tmp_path).within("default"), "a")
    files = DataDirectory(tmp_path, sealing=sealing).within("default")
    engine = DataDirectory(tmp_path, sealing=sealing).within("default")
    began, real = threading.Event(), manifest.sync

    def slow(path: Path) -> None:
        # Between what the rename has read and what it writes.
        if not began.is_set():
            began.set()
            time.sleep(1.0)
        real(path)

    monkeypatch.setattr(manifest, "sync", slow)

    async def reseal() -> None:
        await anyio.to_thread.run_sync(began.wait)
        # What the rename has changed is found, and another call does it.
        with suppress(StoreUnavailable):
            await reseal_dataset(files, "a", {})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reseal)
        await engine.rename("a", "new name")
    assert await engine.is_intact("a")
    await reseal_dataset(files, "a", {})
    assert await engine.is_intact("a")
    record = await engine.record("a")
    assert record is not None
    assert record.name == "new name"


async def test_a_data_set_that_is_deleted_meanwhile_is_not_found(
    tmp_path: Path, sealing: Sealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(DataDirectory(tmp_path).within("default"), "a")
    files = DataDirectory(tmp_path, sealing=sealing).within("default")
    real = resealing.replace_manifest

    def deleted(folder: Path, manifest: Manifest, sealing: TenantSealing) -> None:
        real(folder, manifest, sealing)
        shutil.rmtree(tmp_path / "datasets" / "a")

    monkeypatch.setattr(resealing, "replace_manifest", deleted)
    with pytest.raises(NotFound):
        await reseal_dataset(files, "a", {})
    assert list((tmp_path / "datasets").iterdir()) == list((tmp_path / "incoming").iterdir()) == []
