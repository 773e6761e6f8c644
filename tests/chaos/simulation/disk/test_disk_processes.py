"""Processes, threads and events of a simulated disk."""

import errno
import fcntl
import os
import threading
from pathlib import Path
from random import Random

import pytest

from cqox.chaos.simulation.disk import DiskEvent, ProcessDead, SimulatedDisk
from cqox.file_sync import sync
from tests.chaos.simulation.disk.programs import Program, written


def test_what_a_dead_process_does_has_no_effect_and_its_locks_end(program: Program, tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    lock = os.open(tmp_path / "lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file = open(tmp_path / "file", "wb")  # noqa: SIM115 - a process that dies closes nothing
    file.write(b"buffered")
    program.name = "other"
    kept = open(tmp_path / "kept", "wb")  # noqa: SIM115 - open while the other process dies
    other = os.open(tmp_path / "lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    program.disk.kill("one")
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    kept.write(b"written")
    kept.close()
    program.name = "one"
    with pytest.raises(ProcessDead) as refused:
        (tmp_path / "folder").mkdir()
    assert refused.value.errno == errno.EIO
    with pytest.raises(ProcessDead):
        (tmp_path / "kept").unlink()
    file.close()
    os.close(lock)
    assert program.found() == {"file": b"", "kept": b"written", "lock": b""}
    # Closing descriptors of the dead process has not ended the lock of the other one.
    program.name = "other"
    with open(tmp_path / "lock") as probe, pytest.raises(BlockingIOError):
        fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.close(other)


def test_a_descriptor_that_was_closed_is_not_taken_from_who_has_its_number_now(
    program: Program, tmp_path: Path
) -> None:
    first = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    os.close(first)
    elsewhere = os.open(os.devnull, os.O_RDWR)
    assert elsewhere == first
    before = os.readlink(f"/proc/self/fd/{elsewhere}")
    program.disk.kill("one")
    assert os.readlink(f"/proc/self/fd/{elsewhere}") == before
    os.close(elsewhere)


def test_every_process_that_used_the_disk_is_dead_after_a_power_loss(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    program.disk.power_loss()
    with pytest.raises(ProcessDead):
        (tmp_path / "folder").mkdir()
    program.name = "started-after"
    (tmp_path / "other").mkdir()


def test_an_observer_may_kill_a_process_at_its_operation(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.events = events = []

    def observe(event: DiskEvent) -> None:
        events.append(event)
        if event.path == "second":
            program.disk.kill("one")

    program.disk = SimulatedDisk(tmp_path, draw=Random(1), who=lambda: program.name, observe=observe)
    with program.disk:
        (tmp_path / "first").mkdir()
        with pytest.raises(ProcessDead):
            (tmp_path / "second").mkdir()
    assert program.found() == {"first": None}


def test_in_one_thread_a_wait_for_a_lock_is_an_error(tmp_path: Path) -> None:
    program = Program(tmp_path, is_single_threaded=True)
    with program.disk, open(tmp_path / "lock", "w") as one, open(tmp_path / "lock", "w") as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        with pytest.raises(RuntimeError, match="lock"):
            fcntl.flock(other, fcntl.LOCK_EX)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(other, fcntl.LOCK_EX)


# ---- events


def test_operations_are_reported_with_relative_paths_and_their_process(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    written(tmp_path / "folder/file", b"content")
    (tmp_path / "folder/file").rename(tmp_path / "moved")
    os.listdir(tmp_path)
    (tmp_path / "moved").unlink()
    program.disk.power_loss()
    assert [(event.operation, event.path, event.target, event.who) for event in program.events] == [
        ("make_folder", "folder", "", "one"),
        ("create", "folder/file", "", "one"),
        ("read", "folder/file", "", "one"),
        ("sync", "folder/file", "", "one"),
        ("rename", "folder/file", "moved", "one"),
        ("list", "", "", "one"),
        ("remove", "moved", "", "one"),
        ("power_loss", "", "", None),
    ]


def test_relative_paths_are_those_of_the_working_directory(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("folder")
    os.mkdir("folder/../other")
    assert [event.path for event in program.events] == ["folder", "other"]


def test_threads_are_followed_as_well(program: Program, tmp_path: Path) -> None:
    def work(number: int) -> None:
        for turn in range(20):
            place = tmp_path / f"{number}-{turn}"
            place.mkdir()
            written(place / "file", b"content")
            sync(place)
            place.rename(tmp_path / f"done-{number}-{turn}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sync(tmp_path)
    program.disk.power_loss(names="lost", content="lost")
    found = program.found()
    assert len(found) == 160
    assert all(content == b"content" for name, content in found.items() if name.endswith("/file"))


def test_nothing_is_followed_after_the_block(tmp_path: Path) -> None:
    program = Program(tmp_path)
    with program.disk:
        pass
    (tmp_path / "folder").mkdir()
    assert program.events == []
