"""Cuts and faults of a simulated disk: before one change, or errors of its operations."""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cqox.chaos.simulation.disk import DiskFault, PowerLost
from cqox.fault_points import fault_point
from cqox.file_sync import sync
from tests.chaos.simulation.disk.programs import Program


def test_a_cut_comes_before_one_change_and_nothing_happens_after_it(program: Program, tmp_path: Path) -> None:
    program.disk.cut_at(2)
    (tmp_path / "first").mkdir()
    with pytest.raises(PowerLost):
        (tmp_path / "second").mkdir()
    for attempt in (
        lambda: (tmp_path / "third").mkdir(),
        lambda: shutil.rmtree(tmp_path / "first", ignore_errors=True),
        lambda: os.listdir(tmp_path),
        lambda: fault_point("disk.sync", tmp_path),
    ):
        with pytest.raises(PowerLost):
            attempt()
    program.disk.power_loss(names="kept")
    assert program.found() == {"first": None}
    program.name = "after"
    (tmp_path / "fourth").mkdir()
    assert program.found() == {"first": None, "fourth": None}


def test_what_a_buffer_still_holds_at_a_cut_is_not_written(program: Program, tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        file.write(b"buffered")
        program.disk.cut()
    program.disk.power_loss(names="kept", content="kept")
    assert program.found() == {"file": b""}


def test_reads_and_locks_are_no_changes(program: Program, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = program.disk.changes
    (tmp_path / "file").read_bytes()
    list(tmp_path.iterdir())
    with open(tmp_path / "file") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    assert program.disk.changes == before


# ---- faults


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (errno.ENOSPC, {"create", "mkdir", "rename", "link", "sync"}),
        (errno.EROFS, {"create", "mkdir", "rename", "link", "remove", "append", "chmod", "utime", "truncate"}),
        (errno.EIO, {"create", "mkdir", "rename", "link", "remove", "append", "chmod", "utime", "truncate"}
         | {"read", "list", "sync"}),
    ],
)  # fmt: skip
def test_an_error_meets_the_operations_that_it_meets_on_a_real_disk(
    program: Program, tmp_path: Path, error: int, refused: set[str]
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    attempts: dict[str, Callable[[], object]] = {
        "create": lambda: (tmp_path / "new").write_bytes(b""),
        "mkdir": lambda: (tmp_path / "folder").mkdir(),
        "link": lambda: os.link(tmp_path / "file", tmp_path / "link"),
        "rename": lambda: (tmp_path / "file").rename(tmp_path / "file"),
        "append": lambda: os.close(os.open(tmp_path / "file", os.O_WRONLY | os.O_APPEND)),
        "chmod": lambda: (tmp_path / "file").chmod(0o600),
        "utime": lambda: os.utime(tmp_path / "file"),
        "truncate": lambda: os.truncate(tmp_path / "file", 3),
        "read": lambda: (tmp_path / "file").read_bytes(),
        "list": lambda: list(tmp_path.iterdir()),
        "sync": lambda: fault_point("disk.sync", tmp_path),
        "remove": lambda: (tmp_path / "file").unlink(),
    }
    met = set[str]()
    with program.disk.failing(DiskFault(error=error)):
        for name, attempt in attempts.items():
            try:
                attempt()
            except OSError as raised:
                met.add(name if raised.errno == error else f"{name}: {raised}")
    assert met == refused
    assert {event.error for event in program.events} == {0, error}
    assert program.events[-1].error == (0 if "remove" not in refused else error)


def test_a_fault_meets_its_share_of_the_operations_on_its_paths_until_it_is_healed(
    program: Program, tmp_path: Path
) -> None:
    fault = DiskFault(error=errno.EIO, operations=frozenset({"make_folder"}), share=0.5, path="a*")
    program.disk.fail(fault)

    def failures(prefix: str) -> int:
        count = 0
        for number in range(200):
            try:
                (tmp_path / f"{prefix}{number}").mkdir()
            except OSError:
                count += 1
        return count

    assert 70 < failures("a") < 130
    assert failures("b") == 0
    program.disk.heal(fault)
    assert failures("a-healed") == 0


def test_all_faults_are_healed_at_once(program: Program, tmp_path: Path) -> None:
    for error in (errno.EIO, errno.EROFS):
        program.disk.fail(DiskFault(error=error))
    program.disk.heal()
    (tmp_path / "folder").mkdir()


def test_a_write_that_the_program_reports_is_refused(program: Program, tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file, program.disk.failing(DiskFault(error=errno.ENOSPC)):
        for given in (file.fileno(), file, tmp_path / "file", str(tmp_path / "file")):
            with pytest.raises(OSError) as refused:
                fault_point("disk.write", given)
            assert refused.value.errno == errno.ENOSPC
    fault_point("disk.write", file if not file.closed else object())
    assert [(event.operation, event.path) for event in program.events[1:]] == [("write", "file")] * 4


def test_files_elsewhere_and_other_fault_points_are_left_alone(program: Program, tmp_path: Path) -> None:
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    with program.disk.failing(DiskFault(error=errno.EIO)):
        elsewhere.mkdir()
        (elsewhere / "file").write_bytes(b"content")
        sync(elsewhere)
        fault_point("store.committed", tmp_path)
    assert program.events == []


def test_the_harness_is_never_refused_and_what_it_does_is_followed(program: Program, tmp_path: Path) -> None:
    program.name = None
    with program.disk.failing(DiskFault(error=errno.EIO)):
        (tmp_path / "folder").mkdir()
    assert program.events == []
    program.disk.power_loss(names="lost")
    assert program.found() == {}
