"""Sources of every kind to a file."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import cqox
from cqox.api.session import Session
from cqox.errors import UnreadableFile
from cqox.sources import Fetched, fetch, sql
from tests.api.conftest import session, trial
from tests.servers.objects import serve_objects

__all__ = ["session"]


def test_a_path_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for source in (path, str(path), f"file://{path}"):
        assert fetch(source, tmp_path / "new") == Fetched(path=path, name="a.csv", own=False)


@pytest.mark.parametrize("name", ["n" * 5000, "a.csv/below", "a\0b"])
def test_a_path_that_the_system_refuses_says_why(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(UnreadableFile, match=r"File name too long|Not a directory|null"):
        fetch(tmp_path / name, tmp_path / "new")
    missing = fetch(tmp_path / "absent.csv", tmp_path / "new")
    assert missing.path == tmp_path / "absent.csv"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_or_a_device_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(UnreadableFile, match="Write its content to a file first"):
            fetch(path, tmp_path / "new")


def test_an_object_keeps_its_name_and_a_query_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_objects("bucket", {"施策.csv": b"y\n1\n"}) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        found = fetch("s3://bucket/施策.csv", tmp_path / "one")
    assert found == Fetched(path=tmp_path / "one", name="施策.csv", own=True)
    found = fetch(sql("SELECT 1 AS a", "duckdb://"), tmp_path / "two")
    assert (found.name, found.path.read_bytes()[:4]) == ("query", b"PAR1")


def test_every_source_gives_the_numbers_of_the_frame(session: Session, tmp_path: Path) -> None:
    roles = {"y": "sales", "treatment": "campaign", "covariates": "age"}
    frame = trial()
    wanted = cqox.analyze(frame, **roles, session=session)["ols_adjustment"].estimate
    folder = tmp_path / "parts"
    folder.mkdir()
    frame.iloc[:150].to_csv(folder / "1.csv", index=False)
    frame.iloc[150:].to_csv(folder / "2.csv", index=False)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        frame.to_sql("shop", database, index=False)
    sources = (folder, str(folder), cqox.sql("SELECT * FROM shop", f"sqlite://{tmp_path}/shop.db"))
    for source in sources:
        found = cqox.analyze(source, **roles, session=session)
        assert found["ols_adjustment"].estimate == pytest.approx(wanted, rel=1e-12)
        assert cqox.roles(source, session=session).mapping["y"] == "sales"
    assert sorted(path.name for path in folder.iterdir()) == ["1.csv", "2.csv"]
