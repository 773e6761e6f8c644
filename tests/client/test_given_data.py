"""Data as files with the ids that they have on a server."""

import json
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from cqox.client.given_data import Given, given
from cqox.contract import DatasetSummary, dataset_id, file_digest
from cqox.errors import InvalidRequest, UnreadableFile
from cqox.sources import sql

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]
COLUMNS = {"y": [1.5, 2.5], "w": ["a", None]}
SUMMARY = DatasetSummary(dataset_id="test", name="t", rows=1, columns=1, size_bytes=1, created_at="")


async def taken(data: object, read: dict[str, object] | None = None, *, name: str | None = None) -> Given:
    async with given(data, read, name=name) as found:
        if found.file is not None:
            assert found.file.path.stat().st_size == found.file.size_bytes
        return found


async def test_equal_frames_have_one_id_which_is_the_digest_of_their_file() -> None:
    for frame, kind in ((pd.DataFrame(COLUMNS), "pandas"), (pl.DataFrame(COLUMNS), "polars"), (COLUMNS, "mapping")):
        async with given(frame, None) as found:
            assert found.file is not None
            assert found.kind == kind
            assert found.dataset_id == file_digest(found.file.path)[0]
            assert found.file.name == "frame.arrow"
            path = found.file.path
        assert not path.exists()
    assert len({(await taken(frame)).dataset_id for frame in (pd.DataFrame(COLUMNS), pl.DataFrame(COLUMNS))}) == 1


async def test_a_file_stays_and_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "表.csv"
    path.write_text("y,w\n1,0\n")
    for data in (path, str(path)):
        found = await taken(data)
        assert found.file is not None
        assert (found.file.name, found.kind, found.file.query) == ("表.csv", None, {})
    named = await taken(path, name="shops")
    assert named.file is not None
    assert named.file.name == "shops"
    assert path.exists()


async def test_options_of_reading_are_part_of_the_id_as_the_server_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("y,w\n1,0\n")
    drop = [{"rows": [3]}]
    found = await taken(path, {"encoding": "cp932", "header_rows": 2, "na": ["-", " x"], "drop_rows": drop})
    assert found.file is not None
    assert found.file.query == {"encoding": "cp932", "header_rows": "2", "na": "-,x", "drop_rows": json.dumps(drop)}
    options = {**found.file.query, "na": ["-", "x"]}
    assert found.dataset_id == dataset_id(file_digest(path)[0], options)
    assert (await taken(path, {"na": "-, x"})).dataset_id == (await taken(path, {"na": ["-", "x"]})).dataset_id


@pytest.mark.parametrize("data", ["a" * 32, "mini_retail", "test", SUMMARY])
async def test_a_data_set_of_the_server_is_named(data: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = await taken(data)
    assert (found.dataset_id, found.file) == (getattr(data, "dataset_id", data), None)
    with pytest.raises(InvalidRequest, match="'read' says how"):
        await taken(data, {"encoding": "cp932"})


async def test_a_file_of_that_name_is_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test").write_text("y,w\n1,0\n")
    assert (await taken("test")).dataset_id == file_digest(tmp_path / "test")[0]


async def test_the_result_of_a_query_is_data_too(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE t (y, w)")
        database.execute("INSERT INTO t VALUES (1, 0)")
    database.close()
    found = await taken(sql("SELECT * FROM t", f"sqlite:///{tmp_path / 'shop.db'}"))
    assert found.file is not None
    assert found.file.name == "query"


@pytest.mark.parametrize(
    ("data", "form", "said"),
    [
        ([1, 2], InvalidRequest, "list is no data frame"), ("absent.csv", UnreadableFile, "absent.csv cannot be read"),
        ({"y": [1], "w": [1, 2]}, InvalidRequest, "different lengths"), ("gopher://a", InvalidRequest, "gopher"),
    ],
)  # fmt: skip
async def test_what_is_no_data_says_so(data: object, form: type[Exception], said: str) -> None:
    with pytest.raises(form, match=said):
        await taken(data)


async def test_a_folder_and_text_that_is_not_utf_8_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is a folder"):
        await taken(tmp_path)
    (tmp_path / "a.csv").write_text("y\n1\n")
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        await taken(tmp_path / "a.csv", {"na": "\udcff"})


async def test_a_frame_without_the_package_that_converts_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ModuleNotFoundError, match=r"polars, which is not installed: pip install 'cqox\[client\]'"):
        await taken(COLUMNS)
