from pathlib import Path

from cqox.storage import FileKeys, Readable
from cqox.storage.readable import table_context


def test_a_file_that_is_not_sealed_is_named_by_its_path_alone() -> None:
    assert Readable(path=Path("/data/t"), keys=FileKeys()).to_arguments() == {"path": "/data/t"}


def test_a_table_has_a_context_of_its_data_set() -> None:
    assert table_context("a") != table_context("b")
