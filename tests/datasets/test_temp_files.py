import os
from pathlib import Path

import pytest

from cqox.datasets.temp_files import Scratch, Source

CONTENT = bytes(range(256)) * 10


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "f").write_bytes(CONTENT)
    return Source(path=str(tmp_path / "f"), size=len(CONTENT))


def test_a_source_is_read_from_its_beginning_every_time(source: Source) -> None:
    assert source.head(3) == source.head(3) == b"\x00\x01\x02"
    assert source.head() == b"".join(source.blocks()) == CONTENT
    assert source.head(0) == b""


@pytest.mark.parametrize("block_bytes", [1, 7, 2560, 5000])
@pytest.mark.parametrize("skip", [0, 1, 2559, 2560, 3000])
def test_blocks_are_the_rest_of_the_file_in_pieces_of_one_size(source: Source, skip: int, block_bytes: int) -> None:
    blocks = list(source.blocks(skip=skip, block_bytes=block_bytes))
    assert b"".join(blocks) == CONTENT[skip:]
    assert all(len(block) == block_bytes for block in blocks[:-1])
    assert all(blocks)


def test_a_scratch_file_has_no_name_and_can_be_read_by_several_at_once(tmp_path: Path) -> None:
    with Scratch(tmp_path) as scratch:
        file = scratch.open()
        file.write(CONTENT)
        source = scratch.source(file)
        assert source.size == len(CONTENT)
        one, other = source.blocks(block_bytes=100), source.blocks(block_bytes=100)
        assert next(one) == next(other) == CONTENT[:100]
        assert source.head(5) == CONTENT[:5]
        assert next(one) == CONTENT[100:200]
        assert not list(tmp_path.iterdir())


def test_files_of_one_scratch_are_apart_and_closed_at_its_end(tmp_path: Path) -> None:
    with Scratch(tmp_path) as scratch:
        files = [scratch.open() for _ in range(3)]
        for number, file in enumerate(files):
            file.write(b"%d" % number)
        assert [scratch.source(file).head() for file in files] == [b"0", b"1", b"2"]
    assert all(file.closed for file in files)


def test_the_disk_of_the_folder_is_used(tmp_path: Path) -> None:
    with Scratch(tmp_path) as scratch:
        assert os.fstat(scratch.open().fileno()).st_dev == tmp_path.stat().st_dev
    with pytest.raises(FileNotFoundError), Scratch(tmp_path / "absent") as scratch:
        scratch.open()
