"""A copy in the making: whole under its name, or not there."""

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from cqox.analysis import mirror_copy
from cqox.analysis.mirror_copy import MirrorCopy
from cqox.analysis.mirror_folder import Hold
from cqox.errors import LimitExceeded, StoreUnavailable
from cqox.sources import RemoteTable
from tests.analysis.scripted_table import ScriptedTable


def copy_of(table: ScriptedTable, root: Path, **more: Any) -> MirrorCopy:
    given = {"name": lambda size: f"t.{size}", "check": lambda _: None, **more}
    return MirrorCopy(cast("RemoteTable", table), root, **given)


def test_a_whole_copy_has_its_name_and_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_copy, "_STEP_SECONDS", 0.0)
    copy, holds = copy_of(ScriptedTable(), tmp_path), list[Hold | None]()
    while not holds or holds[-1] is None:
        holds.append(copy.step())
        assert len(holds) < 10
        assert (tmp_path / "t.30").exists() == (holds[-1] is not None)
    assert len(holds) == 4
    assert (tmp_path / "t.30" / "00000" / "a.parquet").read_bytes() == b"0123456789" * 3
    assert [path.name for path in tmp_path.iterdir()] == ["t.30"]


def test_the_copy_that_another_process_has_made_meanwhile_is_taken(tmp_path: Path) -> None:
    (tmp_path / "t.30" / "theirs").mkdir(parents=True)
    hold = copy_of(ScriptedTable(), tmp_path).step()
    assert hold is not None
    assert (hold.folder, [path.name for path in tmp_path.iterdir()]) == (tmp_path / "t.30", ["t.30"])


def test_a_stop_during_a_step_removes_what_there_is_at_its_end(tmp_path: Path) -> None:
    begun, table = threading.Event(), ScriptedTable(before=lambda number: begun.set() if number else None)
    table.gate.clear()
    copy = copy_of(table, tmp_path)
    thread = threading.Thread(target=copy.step)
    thread.start()
    begun.wait()
    copy.stop()
    assert len(list(tmp_path.iterdir())) == 1
    table.gate.set()
    thread.join()
    assert list(tmp_path.iterdir()) == []
    assert copy.step() is None


def test_a_stop_while_the_whole_copy_is_put_in_its_place_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copy_of(ScriptedTable(), tmp_path)
    monkeypatch.setattr(mirror_copy, "sync", lambda _: copy.stop())
    copy.step()
    assert list(tmp_path.iterdir()) == []


def test_failures_leave_nothing_once_it_is_stopped(tmp_path: Path) -> None:
    def fail(number: int) -> None:
        if number == 1:
            raise OSError(28, "No space left on device")

    copy = copy_of(ScriptedTable(before=fail), tmp_path)
    with pytest.raises(StoreUnavailable):
        copy.step()
    copy.stop()

    def check(size: int) -> None:
        if size > 10:
            raise LimitExceeded("too large")

    copy = copy_of(ScriptedTable(), tmp_path, check=check)
    with pytest.raises(LimitExceeded):
        copy.step()
    copy.stop()
    assert list(tmp_path.iterdir()) == []
