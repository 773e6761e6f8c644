import errno
import os
import shutil
import time
from hashlib import blake2b
from pathlib import Path

import anyio
import pytest

from cqox.errors import NotFound, StorageFull, StoreUnavailable
from cqox.storage import Original
from cqox.storage.ballast import BALLAST_BYTES
from cqox.storage.manifest import digest_of
from tests.storage.bound import files_in
from tests.storage.records import a_dataset
from tests.storage.stored_files import everything, kept

pytestmark = pytest.mark.anyio
WHOLE = ["datasets/a/manifest.json", "datasets/a/table.parquet"]


async def test_a_stored_data_set_exists_and_no_temporary_files_remain(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    await kept(files, "a")
    async with files.reading("a") as table:
        path = table.path
        assert path.read_bytes() == b"table"
    assert everything(tmp_path) == WHOLE
    assert await files.record("a") == a_dataset("a")


async def test_concurrent_uploads_of_the_same_data_set_both_succeed(tmp_path: Path) -> None:
    first, second = files_in(tmp_path), files_in(tmp_path)
    async with anyio.create_task_group() as group:
        group.start_soon(kept, first, "a")
        group.start_soon(kept, second, "a")
    assert everything(tmp_path) == WHOLE


async def test_a_dropped_folder_is_removed(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    folder = files.incoming()
    (folder / "half").write_bytes(b"half")
    await files.drop(folder)
    assert everything(tmp_path) == []


async def test_a_data_set_deleted_by_another_engine_stays_readable_for_current_readers(tmp_path: Path) -> None:
    files, other = files_in(tmp_path), files_in(tmp_path)
    await kept(files, "a")
    async with files.reading("a") as table:
        path = table.path
        await other.delete("a")
        assert not await files.has("a")
        assert path.read_bytes() == b"table"
    assert everything(tmp_path) == []


async def test_a_data_set_stored_again_after_its_deletion_stays(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    await kept(files, "a")
    async with files.reading("a"):
        await files.delete("a")
        await kept(files, "a")
    assert await files.has("a")


async def test_replaced_files_stay_unchanged_for_current_readers(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    await kept(files, "a", b"first")
    async with files.reading("a") as table:
        path = table.path
        await kept(files, "a", b"second", replace=True)
        assert path.read_bytes() == b"first"
    async with files.reading("a") as table:
        path = table.path
        assert path.read_bytes() == b"second"


@pytest.mark.parametrize("harm", [b"tablE", b"tab", b""])
async def test_a_file_with_a_wrong_digest_is_never_read_and_can_be_uploaded_again(tmp_path: Path, harm: bytes) -> None:
    files = files_in(tmp_path)
    await kept(files, "a")
    async with files.reading("a"):
        pass
    (tmp_path / "datasets/a/table.parquet").write_bytes(harm)
    with pytest.raises(NotFound, match="damaged"):
        async with files.reading("a"):
            pass
    assert not await files.has("a")
    assert everything(tmp_path) == []


async def test_deleting_a_missing_data_set_is_no_error(tmp_path: Path) -> None:
    await files_in(tmp_path).delete("a")


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".hidden", "a\0b", "x" * 300])
async def test_a_path_traversal_is_not_found(tmp_path: Path, name: str) -> None:
    files = files_in(tmp_path)
    with pytest.raises(NotFound):
        await files.has(name)
    with pytest.raises(NotFound):
        files.figure("a", name, "svg")


async def test_a_written_file_is_complete_and_a_missing_one_is_none(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    path = files.figure("a", "forest", "svg")
    assert await files.read_figure(path) is None
    await files.write_figure(path, b"<svg/>")
    assert await files.read_figure(path) == b"<svg/>"
    assert everything(tmp_path) == ["figures/a/forest.svg"]


async def test_a_data_set_without_its_table_is_complete_again_after_a_new_upload(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    await kept(files, "a")
    (tmp_path / "datasets/a/table.parquet").unlink()
    with pytest.raises(NotFound, match="Upload the data set again"):
        async with files.reading("a"):
            pass
    await kept(files, "a", b"again")
    async with files.reading("a") as table:
        path = table.path
        assert path.read_bytes() == b"again"
    assert everything(tmp_path) == WHOLE


async def test_concurrent_uploads_of_a_data_set_without_its_table_leave_one_complete_copy(tmp_path: Path) -> None:
    engines = [files_in(tmp_path) for _ in range(4)]
    await kept(engines[0], "a")
    for _ in range(10):
        (tmp_path / "datasets/a/table.parquet").unlink()
        async with anyio.create_task_group() as group:
            for files in engines:
                group.start_soon(kept, files, "a")
        assert everything(tmp_path) == WHOLE
        assert await engines[0].is_intact("a")


async def test_a_full_disk_is_store_unavailable_and_leaves_existing_files_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path)
    await kept(files, "a")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("cqox.storage.sealing.open", full, raising=False)
        with pytest.raises(StoreUnavailable, match="is full"):
            await kept(files, "b")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", full)
        with pytest.raises(StoreUnavailable, match="is full"):
            files.incoming()
        # If no link can be created, the table is read in place.
        async with files.reading("a") as table:
            path = table.path
            assert path == tmp_path / "datasets/a/table.parquet"
        with pytest.raises(StoreUnavailable, match="is full"):
            await files.write_figure(files.figure("x", "forest", "svg"), b"svg")
    async with files.reading("a") as table:
        path = table.path
        assert path.read_bytes() == b"table"


async def test_a_missing_directory_is_reported(tmp_path: Path) -> None:
    files = files_in(tmp_path / "data")
    await files.directory.check()
    assert not await files.is_full()
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(StoreUnavailable, match="is missing"):
        await files.directory.check()
    with pytest.raises(StoreUnavailable, match="is missing"):
        files.incoming()


async def test_a_data_set_is_deleted_on_a_disk_without_space_for_a_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path)
    await kept(files, "a")
    await kept(files, "b")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", full)
        await files.delete("a")
    assert everything(tmp_path) == ["datasets/b/manifest.json", "datasets/b/table.parquet"]
    # The folder of deleted data sets may be missing if the disk was full from the start.
    shutil.rmtree(tmp_path / "removed")
    await files.delete("b")
    assert everything(tmp_path) == []


async def test_a_directory_read_only_at_the_start_is_prepared_once_it_is_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", closed)
        files = files_in(tmp_path)
        await files.directory.recover()
        with pytest.raises(StoreUnavailable, match="read-only"):
            files.incoming()
        with pytest.raises(StoreUnavailable, match="read-only"):
            _ = files.scratch
        with pytest.raises(StoreUnavailable, match="read-only"):
            await files.directory.check()
        assert files.directory.dead_owners() == []
    await files.directory.recover()
    await files.directory.check()
    assert files.directory.is_alive(files.owner)
    await kept(files, "a")
    files.directory.close()


def aged(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


async def test_uploads_reads_and_explicit_marks_update_the_last_use_of_a_data_set(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    assert await files.used_at("a") == 0
    await kept(files, "a")
    aged(tmp_path / "datasets/a", 1000)
    assert time.time() - await files.used_at("a") > 900
    await files.use("a")
    assert time.time() - await files.used_at("a") < 500
    aged(tmp_path / "datasets/a", 1000)
    async with files.reading("a"):
        assert time.time() - await files.used_at("a") < 500
    await files.use("nothing")
    files.directory.close()


async def test_an_erasure_is_visible_to_all_engines_until_the_data_set_is_uploaded_again(tmp_path: Path) -> None:
    files, other = files_in(tmp_path), files_in(tmp_path)
    assert dict(other.erasures.all()) == {}
    await files.begin_erasure("a")
    await files.begin_erasure("b")
    assert list(other.erasures.all()) == ["a", "b"]
    await kept(other, "a")
    assert list(files.erasures.all()) == ["b"]
    aged(tmp_path / "erased/b", 90_000)
    assert dict(files.erasures.all()) == {}
    assert not list((tmp_path / "erased").iterdir())


async def test_a_missing_ballast_has_to_be_free_in_addition_to_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = 2**30 // 4096
    free = (64 * 2**20 + BALLAST_BYTES // 2) // 4096
    about = os.statvfs(tmp_path)
    nearly = os.statvfs_result((4096, 4096, 20 * blocks, free, free, *tuple(about)[5:10]))
    monkeypatch.setattr(os, "statvfs", lambda _: nearly)
    files, unbound = files_in(tmp_path), files_in(tmp_path, reserve_bytes=0)
    with pytest.raises(StorageFull, match="nearly full"):
        await files.check_room()
    with pytest.raises(StorageFull, match="nearly full"):
        await files.directory.check()
    await unbound.check_room()
    await files.directory.recover()
    assert (tmp_path / "ballast").exists()
    await files.check_room()
    await files.directory.check()
    files.directory.close()
    unbound.directory.close()


def an_original(path: Path) -> Original:
    return Original(
        name="a.csv", digest=digest_of(path), size_bytes=path.stat().st_size, encoding="utf-8", options={}
    )  # fmt: skip


async def test_an_original_lies_with_its_data_set_and_no_reader_of_the_table_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path, originals_bytes=100)
    await kept(files, "a")
    upload = files.scratch / "upload"
    upload.write_bytes(b"y\n1\n")
    await files.keep_original("a", upload, an_original(upload))
    assert (await files.original("a"))[1]
    hashed = list[str]()
    monkeypatch.setattr(
        "cqox.storage.dataset_folders.digest_of", lambda path: hashed.append(path.name) or digest_of(path)
    )
    async with files.reading("a") as table:
        path = table.path
        assert sorted(each.name for each in path.parent.iterdir()) == ["manifest.json", "table.parquet"]
    assert hashed == ["table.parquet"]
    async with files.reading_original("a", verify=True) as (original, path):
        await files.delete("a")
        assert (original.name, path.read_bytes()) == ("a.csv", b"y\n1\n")
    assert await files.original("a") == (None, False)
    upload.unlink()
    assert everything(tmp_path) == []


async def test_an_original_that_is_not_kept_is_not_found(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    await kept(files, "a")
    upload = files.scratch / "upload"
    upload.write_bytes(b"y\n1\n")
    await files.keep_original("a", upload, an_original(upload))
    assert await files.original("a") == (None, False)
    with pytest.raises(NotFound):
        async with files.reading_original("a", verify=False):
            pass
    assert list((tmp_path / "reading").iterdir()) == []


async def test_the_digests_of_a_data_set_are_those_of_its_files_and_its_figures_are_counted(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    assert (await files.digests("a"), await files.count_figures("f" * 32)) == ({}, 0)
    await kept(files, "a")
    assert await files.digests("a") == {"table.parquet": blake2b(b"table", digest_size=16).hexdigest()}
    for suffix in ("svg", "png"):
        await files.write_figure(files.figure("f" * 32, "forest", suffix), b"drawn")
    assert await files.count_figures("f" * 32) == 2
