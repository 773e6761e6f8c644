"""Rendered figures, plain and sealed."""

from pathlib import Path

import pytest

from cqox.errors import NotFound
from cqox.storage import DataDirectory, FileStore
from cqox.storage.figure_files import checked_part
from tests.storage.sealings import sealing_in

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["plain", "sealed"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    return DataDirectory(tmp_path, sealing=sealing_in(tmp_path, is_on=request.param == "sealed")).within("default")


async def test_a_figure_is_there_once_it_is_written_and_gone_once_it_is_erased(files: FileStore) -> None:
    path = files.figure("a", "forest", "svg")
    assert await files.read_figure(path) is None
    await files.write_figure(path, b"<svg/>")
    assert await files.read_figure(path) == b"<svg/>"
    assert (list(await files.drawn()), await files.count_figures("a")) == (["a"], 1)
    assert (await files.drawn())["a"] > 0.0
    await files.erase("a")
    assert (await files.read_figure(path), await files.drawn()) == (None, {})


async def test_a_figure_that_was_damaged_is_rendered_again(tmp_path: Path) -> None:
    files = DataDirectory(tmp_path, sealing=sealing_in(tmp_path)).within("default")
    path = files.figure("a", "forest", "svg")
    await files.write_figure(path, b"<svg/>")
    path.write_bytes(path.read_bytes()[:-1])
    assert await files.read_figure(path) is None
    other = files.figure("a", "balance", "svg")
    await files.write_figure(other, b"<svg/>")
    other.replace(path)
    assert await files.read_figure(path) is None


@pytest.mark.parametrize("part", ["", "..", "a/b", "-x", "a" * 201, "\0"])
def test_no_other_folder_is_reached(part: str) -> None:
    with pytest.raises(NotFound):
        checked_part(part)
