"""Tables in files, opened by their format."""

from pathlib import Path

import polars as pl
import pytest

from cqox.engines.place_opening import opened_table
from cqox.errors import SourceDown, UnreadableFile


def no_server(question: object) -> bytes:
    raise AssertionError(question)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_table_in_files_is_read_by_its_format(tmp_path: Path, form: str) -> None:
    frame, path = pl.DataFrame({"id": [1, 2], "x": [0.5, None]}), tmp_path / f"t.{form}"
    if form == "parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)
    place = {"source": "lake", "table": "t", "files": [str(path)], "format": form}
    with opened_table(place, tmp_path, threads=1, after_read=lambda: None, ask=no_server) as table:
        assert table.kinds == {"id": "whole", "x": "real"}
        assert table.read(None, ["id", "x"]).rows() == frame.rows()


def test_a_file_that_is_not_of_its_format_is_a_failure_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"no parquet")
    place = {"source": "lake", "table": "t", "files": [str(path)], "format": "parquet"}
    with (
        pytest.raises(SourceDown, match="'lake' cannot be read"),
        opened_table(place, tmp_path, threads=1, after_read=lambda: None, ask=no_server),
    ):
        pass
    with (
        pytest.raises(UnreadableFile, match=r"'t' cannot be read: t\.parquet: "),
        opened_table({**place, "own": True}, tmp_path, threads=1, after_read=lambda: None, ask=no_server),
    ):
        pass


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_file_that_is_gone_is_named(tmp_path: Path, form: str) -> None:
    frame, paths = pl.DataFrame({"id": [1, 2]}), [tmp_path / f"{name}.{form}" for name in "ab"]
    for path in paths:
        (frame.write_parquet if form == "parquet" else frame.write_csv)(path)
    place = {"source": "files", "table": "t", "files": [str(path) for path in paths], "format": form, "own": True}

    def read() -> None:
        with opened_table(place, tmp_path, threads=1, after_read=lambda: None, ask=no_server) as table:
            paths[1].unlink()
            table.read(None, ["id"])

    with pytest.raises(
        UnreadableFile, match=rf"The files of 't' cannot be read: b\.{form}: No such file or directory$"
    ):
        read()


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize(
    "names", [("a*", "ab"), ("[0-9]", "5"), ("part?", "part1"), ("t [1]", "t 1"), ("d [2]/a", "d 2/a"), ("x\\y", "xy")]
)
def test_a_name_that_reads_like_a_pattern_is_that_file_alone(tmp_path: Path, form: str, names: tuple[str, str]) -> None:
    paths = [tmp_path / f"{name}.{form}" for name in names]
    frames = [pl.DataFrame({"id": [first, first + 1], "x": ["v", "w"]}) for first in (1, 3)]
    for path, frame in zip(paths, frames, strict=True):
        path.parent.mkdir(exist_ok=True)
        (frame.write_parquet if form == "parquet" else frame.write_csv)(path)
    place = {"source": "lake", "table": "t", "files": [str(path) for path in paths], "format": form}
    with opened_table(place, tmp_path, threads=1, after_read=lambda: None, ask=no_server) as table:
        assert table.count() == 4
        text, aliases = table.columns(["id"])
        found = table.engine.read(f"select {aliases['id']}, rownumber from {text} order by rownumber")
        assert [column.tolist() for column in found] == [[1, 2, 3, 4], [0, 1, 2, 3]]
        assert table.read(None, ["id", "x"]).rows() == pl.concat(frames).rows()
