"""Every power loss of an operation, by programs whose faults are known."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cqox.chaos.simulation.disk.power_losses import PowerLoss, each_power_loss
from cqox.file_sync import sync


def store(root: Path, *, content_synced: bool = True, name_synced: bool = True) -> None:
    scratch = root / ".file"
    scratch.write_bytes(b"new" * 1000)
    if content_synced:
        sync(scratch)
    scratch.rename(root / "file")
    if name_synced:
        sync(root)


def outcomes(folder: Path, program: Callable[[Path], None]) -> set[tuple[bool, str]]:
    found = set[tuple[bool, str]]()
    for loss in each_power_loss(folder):
        with loss.running():
            (loss.root / "file").write_bytes(b"old" * 1000)
            sync(loss.root / "file")
            sync(loss.root)
            loss.begin()
            program(loss.root)
        content = (loss.root / "file").read_bytes()
        state = {b"old" * 1000: "old", b"new" * 1000: "new"}.get(content, "torn")
        found.add((loss.is_complete, state))
    return found


def test_a_careful_program_leaves_the_old_or_the_new_content_and_keeps_what_it_acknowledges(tmp_path: Path) -> None:
    assert outcomes(tmp_path, store) == {(False, "old"), (False, "new"), (True, "new")}


def test_a_program_that_renames_before_it_syncs_is_caught(tmp_path: Path) -> None:
    assert (True, "torn") in outcomes(tmp_path, lambda root: store(root, content_synced=False))


def test_a_program_that_acknowledges_before_the_name_is_synced_is_caught(tmp_path: Path) -> None:
    assert (True, "old") in outcomes(tmp_path, lambda root: store(root, name_synced=False))


def test_the_power_is_lost_before_each_change_and_after_the_last_one(tmp_path: Path) -> None:
    cuts: dict[tuple[str, str, bool], list[PowerLoss]] = {}
    for loss in each_power_loss(tmp_path, seeds=1):
        with loss.running():
            (loss.root / "before").mkdir()
            loss.begin()
            for name in "abc":
                (loss.root / name).mkdir()
        cuts.setdefault((loss.names, loss.content, loss.journal), []).append(loss)
        if loss.names == "kept":
            assert sorted(path.name for path in loss.root.iterdir()) == sorted(["before", *"abc"[: loss.cut - 1]])
    assert len(cuts) == 6
    for losses in cuts.values():
        assert [loss.is_complete for loss in losses] == [False, False, False, True]
    assert list(tmp_path.iterdir()) == []


def test_a_loss_says_where_and_how_it_was(tmp_path: Path) -> None:
    said = []
    for loss in each_power_loss(tmp_path, seeds=1):
        with loss.running():
            loss.begin()
            (loss.root / "a").mkdir()
            (loss.root / "b").mkdir()
        said.append(str(loss))
    assert "power lost at change 2, after make_folder of a; names lost, content lost, seed 2" in said
    assert "power lost at change 3, the end; names drawn, content drawn, seed 100006, journal" in said


def test_other_errors_of_the_program_are_raised(tmp_path: Path) -> None:
    for loss in each_power_loss(tmp_path):
        with pytest.raises(ZeroDivisionError), loss.running():
            raise ZeroDivisionError
        break
