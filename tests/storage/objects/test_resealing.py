"""Data sets and originals in an object store while they are sealed under another key, where something else happens."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cqox import clock
from cqox.encryption import is_sealed
from cqox.errors import NotFound, StoreUnavailable
from cqox.storage import DataDirectory, Original, Sealing, TenantFiles
from cqox.storage.objects import ObjectVolume
from cqox.storage.objects.client import Objects
from cqox.storage.objects.copies import LocalCopies
from cqox.storage.objects.datasets import DatasetObjects
from cqox.storage.objects.originals import OriginalObjects
from cqox.storage.resealing import Resealing, resealing_of
from tests.storage.records import a_dataset
from tests.storage.sealings import sealing_in

pytestmark = pytest.mark.anyio

type Open = Callable[..., DataDirectory]


@pytest.fixture
def before(open_directory: Open) -> TenantFiles:
    """The files as an engine without encryption has them."""
    return open_directory(originals_bytes=1000).within("default")


@pytest.fixture
def files(objects: Objects, tmp_path: Path) -> TenantFiles:
    """The files as an engine with encryption has them."""
    volume = ObjectVolume(objects, LocalCopies(tmp_path / "sealed/copies", most_bytes=10**6))
    sealing: Sealing = sealing_in(tmp_path / "ring")
    directory = DataDirectory(tmp_path / "sealed", originals_bytes=1000, sealing=sealing, volume=volume)
    return directory.within("default")


@pytest.fixture
def resealing(files: TenantFiles) -> Resealing:
    return resealing_of(files)


async def kept(files: TenantFiles, content: bytes = b"table", *, replace: bool = False) -> None:
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(content)
    await files.keep(folder, a_dataset("a"), replace=replace)


async def kept_original(files: TenantFiles) -> None:
    upload = files.scratch / "upload"
    upload.write_bytes(b"y\n1\n")
    about = Original(name="a.csv", digest=await files.digest(upload), size_bytes=4, encoding=None, options={})
    await files.keep_original("a", upload, about)
    upload.unlink()


async def read(files: TenantFiles) -> bytes:
    async with files.reading("a") as table:
        return files.sealing.read_file(table.path, "table/a/table.parquet")


def keys(objects: Objects) -> list[str]:
    return [info.key for info in objects.list("tenants/")]


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Let something happen once between the upload of the new files and their manifest."""
    exchange = DatasetObjects._exchange
    done = list[bool]()

    def exchanged(*given: object, **named: object) -> None:
        if not done:
            done.append(True)
            happens()
        exchange(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(DatasetObjects, "_exchange", exchanged)


async def test_a_name_that_is_given_meanwhile_stays(
    before: TenantFiles, files: TenantFiles, resealing: Resealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(before)
    meanwhile(monkeypatch, lambda: files._datasets.rename("a", "new"))  # type: ignore[attr-defined]
    assert await resealing.dataset("a")
    record = await files.record("a")
    assert record is not None
    assert record.name == "new"
    assert await read(files) == b"table"


async def test_what_is_deleted_meanwhile_is_not_found_and_nothing_is_left(
    before: TenantFiles, files: TenantFiles, resealing: Resealing, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(before)
    meanwhile(monkeypatch, lambda: files._datasets.delete("a"))  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        await resealing.dataset("a")
    assert [key for key in keys(objects) if "/used/" not in key] == []


async def test_what_is_uploaded_again_meanwhile_stays_and_is_done_by_another_call(
    before: TenantFiles, files: TenantFiles, resealing: Resealing, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(before)
    folder = before.incoming()
    (folder / "table.parquet").write_bytes(b"second")
    datasets = before._datasets  # type: ignore[attr-defined]
    meanwhile(monkeypatch, lambda: datasets.keep(folder, a_dataset("a"), replace=True))
    with pytest.raises(StoreUnavailable, match="meanwhile"):
        await resealing.dataset("a")
    assert await read(files) == b"second"
    assert len(keys(objects)) == 3
    assert await resealing.dataset("a")
    assert await read(files) == b"second"
    assert not await resealing.dataset("a")


@pytest.mark.parametrize("harm", [b"tablE", None])
async def test_a_damaged_data_set_stays_as_it_is(
    before: TenantFiles, resealing: Resealing, objects: Objects, harm: bytes | None
) -> None:
    await kept(before)
    (part,) = [key for key in keys(objects) if "table.parquet" in key]
    if harm is None:
        objects.delete(part)
    else:
        objects.put(part, harm)
    stored = keys(objects)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await resealing.dataset("a")
    assert keys(objects) == stored


async def test_a_run_that_is_killed_half_way_is_finished_by_another_one(
    before: TenantFiles, files: TenantFiles, resealing: Resealing, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(before)
    await kept_original(before)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        # Its deletions fail too, as those of a process that is gone.
        patched.setattr(DatasetObjects, "_exchange", killed)
        patched.setattr(objects, "delete_below", killed)
        with pytest.raises(Killed):
            await resealing.dataset("a")
    assert await read(before) == b"table"
    with monkeypatch.context() as patched:
        patched.setattr(objects, "delete_below", killed)
        with pytest.raises(Killed):
            await resealing.dataset("a")
    assert await read(files) == b"table"
    # Of the data set itself all is done; its original is not.
    assert await resealing.dataset("a")
    assert not await resealing.dataset("a")
    async with files.reading_original("a", verify=True) as (_, path):
        assert files.sealing.read_file(path, "upload") == b"y\n1\n"
    later = clock.wall_time() + 90_000
    monkeypatch.setattr("cqox.clock.wall_time", lambda: later)
    await files.directory.sweep()
    stored = {key: objects.get(key) for key in keys(objects) if "/datasets/" in key or "/content/" in key}
    assert len(stored) == 2
    assert all(content is not None and is_sealed(content[0]) for content in stored.values())
    assert await read(files) == b"table"


async def test_an_original_that_is_replaced_meanwhile_stays(
    before: TenantFiles, files: TenantFiles, resealing: Resealing, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(before)
    await kept_original(before)
    upload = OriginalObjects._upload

    def replaced(originals: OriginalObjects, dataset_id: str, path: Path, *, replaces: str | None) -> bool:
        objects.put("tenants/default/originals/a/kept", b"0" * 32)
        return upload(originals, dataset_id, path, replaces=replaces)

    with monkeypatch.context() as patched:
        patched.setattr(OriginalObjects, "_upload", replaced)
        with pytest.raises(StoreUnavailable, match="meanwhile"):
            await resealing.dataset("a")
    assert objects.get("tenants/default/originals/a/kept") is not None
    assert len([key for key in keys(objects) if "/content/" in key]) == 1


async def test_a_reader_of_an_original_half_way_gets_all_of_the_new_one(
    before: TenantFiles, resealing: Resealing, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(before)
    await kept_original(before)
    download, done = objects.download, list[bool]()
    originals = resealing._files._originals  # type: ignore[attr-defined]

    def replacing(key: str, path: Path) -> bool:
        if not done:
            done.append(True)
            for name in ("source", "target"):
                path.with_name(name).mkdir()
            originals.reseal("a", path.with_name("source"), path.with_name("target"))
        return download(key, path)

    monkeypatch.setattr(objects, "download", replacing)
    (before.scratch / "view").mkdir()
    original = originals.copy("a", before.scratch / "view", verify=False)
    assert (original.name, done) == ("a.csv", [True])
    assert originals._sealing.read_file(before.scratch / "view/original", "upload") == b"y\n1\n"


async def test_copies_of_former_editions_go_with_the_next_sweep(
    before: TenantFiles, resealing: Resealing, tmp_path: Path
) -> None:
    await kept(before)
    (copy,) = (tmp_path / "engine-0/copies/default/a").iterdir()
    assert await before.directory.sweep() == 0
    assert copy.exists()
    assert await resealing.dataset("a")
    assert await before.directory.sweep() == 1
    assert not copy.exists()
