from pathlib import Path

import pytest

from cqox.storage.work_folders import OWNED
from tests.storage.bound import files_in

pytestmark = pytest.mark.anyio


async def test_entries_are_named_for_their_process_and_removed_at_its_end(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    folder = files.incoming()
    assert folder.parent.name in OWNED
    assert folder.name.startswith(files.owner)
    assert files.scratch == tmp_path / "uploads" / files.owner
    files.directory.close()
    assert not folder.exists()


async def test_folders_are_created_again_after_they_were_removed(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    assert files.scratch.exists()
    files.scratch.rmdir()
    assert not files.scratch.exists()
    files.forget()
    assert files.scratch.exists()


async def test_a_dropped_folder_is_gone_with_its_content(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    folder = files.incoming()
    (folder / "half").write_bytes(b"half")
    await files.drop(folder)
    assert not folder.exists()
