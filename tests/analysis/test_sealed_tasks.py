"""Sealed files in a worker: plain for the task, in memory, and sealed on the disk."""

import os
import tempfile
from pathlib import Path

import pytest

from cqox.analysis import sealed_tasks
from cqox.analysis.sealed_tasks import unsealed
from cqox.encryption import SealBroken, is_sealed
from cqox.storage import FileKeys, Readable
from cqox.storage.sealing import UPLOAD
from tests.storage.sealings import sealing_in


def sealed_table(folder: Path) -> Readable:
    sealing = sealing_in(folder).of("acme")
    contents = {"table.parquet": b"rows", "table.parquet.json": b"{}"}
    for name, content in contents.items():
        sealing.write_file(folder / name, content, f"table/1/{name}")
    (folder / "table.parquet.messages.json").write_text("from before")
    paths = {folder / name: f"table/1/{name}" for name in (*contents, "table.parquet.messages.json")}
    return Readable(path=folder / "table.parquet", keys=sealing.keys_of(paths))


@pytest.fixture
def view(tmp_path: Path) -> Path:
    folder = tmp_path / "view"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("memory_bytes", [2**20, 0], ids=["in memory", "in nameless files"])
def test_a_task_reads_plain_files_next_to_each_other(
    view: Path, monkeypatch: pytest.MonkeyPatch, memory_bytes: int
) -> None:
    monkeypatch.setattr(sealed_tasks, "MEMORY_BYTES", memory_bytes)
    arguments = {**sealed_table(view).to_arguments(), "threads": 2}
    with unsealed(arguments) as plain:
        path = Path(str(plain["path"]))
        assert set(plain) == {"path", "threads"}
        assert path.name == "table.parquet"
        assert path.read_bytes() == b"rows"
        assert path.with_name("table.parquet.json").read_text() == "{}"
        assert path.with_name("table.parquet.messages.json").read_text() == "from before"
        assert not path.with_name("table.parquet.findings.json").exists()
    assert not path.exists()
    assert sorted(each.name for each in view.iterdir()) == [
        "table.parquet",
        "table.parquet.json",
        "table.parquet.messages.json",
    ]


def test_files_that_a_task_writes_reach_the_disk_sealed(
    tmp_path: Path, view: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a killed worker leaves there is removed by nobody.
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    sealing, out = sealing_in(tmp_path).of("acme"), tmp_path / "out"
    out.mkdir()
    sealing.write_file(view / "upload", b"y,w\n1,2\n", UPLOAD)
    keys = sealing.keys_of({view / "upload": UPLOAD}, new="table/2")
    with unsealed({"path": str(view / "upload"), "folder": str(out), **keys.to_arguments()}) as plain:
        assert Path(str(plain["path"])).read_bytes() == b"y,w\n1,2\n"
        folder = Path(str(plain["folder"]))
        (folder / "table.parquet").write_bytes(b"rows")
        (folder / "table.parquet.json").write_text("{}")
        assert list(out.iterdir()) == list((tmp_path / "temporary").iterdir()) == []
    assert sorted(path.name for path in out.iterdir()) == ["table.parquet", "table.parquet.json"]
    assert all(is_sealed(path.read_bytes()) for path in out.iterdir())
    assert sealing.read_file(out / "table.parquet", "table/2/table.parquet") == b"rows"


def test_a_task_that_fails_leaves_nothing(tmp_path: Path) -> None:
    sealing = sealing_in(tmp_path).of("acme")
    keys: FileKeys = sealing.keys_of({}, new="table/2")

    def fail() -> None:
        with unsealed({"folder": str(tmp_path), **keys.to_arguments()}) as plain:
            (Path(str(plain["folder"])) / "table.parquet").write_bytes(b"rows")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_data_set_is_refused(view: Path) -> None:
    arguments = sealed_table(view).to_arguments()
    os.replace(view / "table.parquet.json", view / "table.parquet")
    arguments["sealed"]["contexts"].pop("table.parquet.json")  # type: ignore[index]
    with pytest.raises(SealBroken), unsealed(arguments):
        pass
