from collections.abc import Callable
from pathlib import Path

import pytest

from cqox.errors import NotFound, StoreUnavailable
from cqox.storage import DataDirectory, TenantFiles
from cqox.storage.objects.client import Objects
from cqox.storage.objects.datasets import DatasetObjects
from tests.storage.records import a_dataset

pytestmark = pytest.mark.anyio

type Open = Callable[..., DataDirectory]


async def kept(files: TenantFiles, name: str = "a", content: bytes = b"table", *, replace: bool = False) -> None:
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(content)
    await files.keep(folder, a_dataset(name), replace=replace)


async def read(files: TenantFiles, name: str = "a") -> bytes:
    async with files.reading(name) as table:
        return table.path.read_bytes()


def keys(objects: Objects) -> list[str]:
    return [info.key for info in objects.list("tenants/")]


def copied(root: Path) -> list[str]:
    return [path.name for path in root.glob("engine-0/copies/default/*/*/*")]


def the_part(objects: Objects) -> str:
    (found,) = [key for key in keys(objects) if "table.parquet" in key]
    return found


async def test_the_engine_that_stores_a_data_set_needs_no_download(
    open_directory: Open, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = open_directory().within("default")
    await kept(files)
    monkeypatch.setattr(objects, "download", lambda *_: pytest.fail("downloaded"))
    assert await read(files) == b"table"


@pytest.mark.parametrize("harm", [b"tablE", b"tab", b"", None])
async def test_a_damaged_or_missing_file_is_never_read_and_the_data_set_can_be_uploaded_again(
    open_directory: Open, objects: Objects, harm: bytes | None
) -> None:
    first, other = open_directory().within("default"), open_directory().within("default")
    await kept(first)
    if harm is None:
        objects.delete(the_part(objects))
    else:
        objects.put(the_part(objects), harm)
    assert not await other.is_intact("a")
    with pytest.raises(NotFound, match="damaged"):
        await read(other)
    assert keys(objects) == []
    assert not await first.has("a")
    await kept(first, content=b"again")
    assert await read(other) == b"again"


async def test_a_damaged_manifest_is_no_data_set_and_is_replaced(open_directory: Open, objects: Objects) -> None:
    files = open_directory().within("default")
    await kept(files)
    objects.put("tenants/default/manifests/a", b"?" * 100)
    assert await files.record("a") is None
    with pytest.raises(NotFound, match="damaged"):
        await read(files)
    assert keys(objects) == []


async def test_a_data_set_without_its_table_is_complete_again_after_a_new_upload(
    open_directory: Open, objects: Objects
) -> None:
    first, other = open_directory().within("default"), open_directory().within("default")
    await kept(first)
    objects.delete(the_part(objects))
    await kept(other, content=b"again")
    assert await read(first) == await read(other) == b"again"
    assert len(keys(objects)) == 3


async def test_an_upload_that_fails_or_comes_second_leaves_nothing(
    open_directory: Open, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = open_directory().within("default")

    def fail(*_: object, **__: object) -> bool:
        raise StoreUnavailable("refused")

    with monkeypatch.context() as patched:
        patched.setattr(DatasetObjects, "_publish", fail)
        with pytest.raises(StoreUnavailable):
            await kept(files)
    assert keys(objects) == []
    await kept(files)
    before = keys(objects)
    await kept(files, content=b"second")
    assert keys(objects) == before


async def test_a_replacement_leaves_no_former_edition_and_a_reader_half_way_gets_the_new_one(
    open_directory: Open, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = open_directory().within("default"), open_directory().within("default")
    await kept(first)
    download, replaced = objects.download, list[bool]()

    def replacing(key: str, path: Path) -> bool:
        if not replaced:
            replaced.append(True)
            folder = first.incoming()
            (folder / "table.parquet").write_bytes(b"second")
            first._datasets.keep(folder, a_dataset("a"), replace=True)  # type: ignore[attr-defined]
        return download(key, path)

    monkeypatch.setattr(objects, "download", replacing)
    assert await read(other) == b"second"
    assert len(keys(objects)) == 3


async def test_copies_are_bounded_and_a_full_disk_gives_them_up(
    open_directory: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    directory = open_directory(copies_bytes=5)
    files = directory.within("default")
    for name in "abc":
        await kept(files, name)
        assert await read(files, name) == b"table"
    assert copied(tmp_path) == ["table.parquet"]
    wanted = list[int]()
    monkeypatch.setattr(directory.room, "make", wanted.append)
    again = directory.volume
    assert again is not None
    other = again.files_of(directory, tmp_path / "engine-0", files.sealing, tenant_id="default")
    assert await read(other, "a") == b"table"
    assert wanted == [5]


async def test_copies_of_what_another_engine_has_erased_or_deleted_are_removed(
    open_directory: Open, tmp_path: Path
) -> None:
    first, second = open_directory(), open_directory()
    files, other = first.within("default"), second.within("default")
    for name in "abc":
        await kept(files, name)
        await read(other, name)
    await files.begin_erasure("a")
    await files.delete("a")
    await files.delete("b")
    assert list(await other.erased()) == ["a"]
    copies = tmp_path / "engine-1/copies/default"
    assert sorted(path.name for path in copies.iterdir()) == ["b", "c"]
    await second.sweep()
    assert [path.name for path in copies.iterdir()] == ["c"]
    assert await read(other, "c") == b"table"
