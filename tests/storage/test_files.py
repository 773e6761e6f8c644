from pathlib import Path

import anyio
import pytest

from cqox.errors import NotFound
from cqox.storage import FileStore

pytestmark = pytest.mark.anyio


async def kept(files: FileStore, name: str, content: bytes = b"table") -> None:
    folder = files.incoming()
    (folder / "table.parquet").write_bytes(content)
    await files.keep(folder, name)


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_a_kept_data_set_is_there_and_nothing_else_is_left(tmp_path: Path) -> None:
    files = FileStore(tmp_path)
    await kept(files, "a")
    with files.reading("a") as path:
        assert path.read_bytes() == b"table"
    assert everything(tmp_path) == ["datasets/a/table.parquet"]


async def test_two_that_keep_the_same_data_set_at_once_both_succeed(tmp_path: Path) -> None:
    first, second = FileStore(tmp_path), FileStore(tmp_path)
    async with anyio.create_task_group() as group:
        group.start_soon(kept, first, "a")
        group.start_soon(kept, second, "a")
    assert everything(tmp_path) == ["datasets/a/table.parquet"]


async def test_a_dropped_folder_leaves_nothing(tmp_path: Path) -> None:
    files = FileStore(tmp_path)
    folder = files.incoming()
    (folder / "half").write_bytes(b"half")
    await files.drop(folder)
    assert everything(tmp_path) == []


async def test_a_deleted_data_set_stays_readable_for_who_is_reading_it(tmp_path: Path) -> None:
    files = FileStore(tmp_path)
    await kept(files, "a")
    with files.reading("a") as path:
        await files.delete("a")
        assert path.read_bytes() == b"table"
    assert not files.has("a")
    assert everything(tmp_path) == []


async def test_a_data_set_uploaded_again_while_its_deletion_waits_is_kept(tmp_path: Path) -> None:
    files = FileStore(tmp_path)
    await kept(files, "a")
    with files.reading("a"):
        await files.delete("a")
        await kept(files, "a")
    assert files.has("a")


async def test_deleting_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    await FileStore(tmp_path).delete("a")


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".hidden", "a\0b", "x" * 300])
async def test_a_name_that_could_leave_the_folder_is_not_found(tmp_path: Path, name: str) -> None:
    files = FileStore(tmp_path)
    with pytest.raises(NotFound):
        files.has(name)
    with pytest.raises(NotFound):
        files.figure("a", name, "svg")


async def test_a_written_file_is_whole_and_a_missing_one_is_none(tmp_path: Path) -> None:
    files = FileStore(tmp_path)
    path = files.figure("a", "forest", "svg")
    assert await files.read(path) is None
    await files.write(path, b"<svg/>")
    assert await files.read(path) == b"<svg/>"
    assert everything(tmp_path) == ["figures/a/forest.svg"]
