"""A simulated disk under programs that use a real folder as ever."""

import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from cqox.chaos.simulation.disk import DiskEvent, DiskFault, PowerLost, ProcessDead, SimulatedDisk
from cqox.fault_points import fault_point, hooked
from cqox.file_sync import sync, sync_handle
from cqox.storage.exchange import exchange


class Program:
    """A disk with the simulated process that runs now."""

    def __init__(self, root: Path, seed: int = 1, **options: object) -> None:
        self.root = root
        self.events: list[DiskEvent] = []
        self.name: str | None = "one"
        self.now = 0.0
        self.disk = SimulatedDisk(
            root,
            draw=Random(seed),
            who=lambda: self.name,
            now=lambda: self.now,
            observe=self.events.append,
            **options,  # type: ignore[arg-type]
        )

    def found(self) -> dict[str, bytes | None]:
        """Return each path with its content, None for folders."""
        name, self.name = self.name, None
        try:
            return {
                str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else None
                for path in sorted(self.root.rglob("*"))
            }
        finally:
            self.name = name


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    with program.disk, hooked(program.disk.at_fault_point):
        yield program


def written(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    sync(path)


# ---- power loss


def test_what_was_synced_survives_and_what_was_not_is_lost(program: Program, tmp_path: Path) -> None:
    written(tmp_path / "synced", b"content")
    (tmp_path / "file-only").write_bytes(b"no sync of its content")
    sync(tmp_path)
    written(tmp_path / "name-only", b"no sync of its folder")
    program.disk.power_loss(names="lost", content="lost")
    assert program.found() == {"synced": b"content", "file-only": b""}


def test_names_and_content_survive_apart_from_each_other(program: Program, tmp_path: Path) -> None:
    written(tmp_path / "file", b"old")
    sync(tmp_path)
    (tmp_path / ".file").write_bytes(b"new")
    (tmp_path / ".file").rename(tmp_path / "file")
    program.disk.power_loss(names="kept", content="lost")
    assert program.found() == {"file": b""}


@pytest.mark.parametrize("names", ["kept", "lost"])
def test_a_rename_that_was_not_synced_is_undone_with_the_file_that_it_replaced(
    program: Program, tmp_path: Path, names: str
) -> None:
    written(tmp_path / "file", b"old")
    sync(tmp_path)
    written(tmp_path / ".file", b"new")
    sync(tmp_path)
    (tmp_path / ".file").rename(tmp_path / "file")
    program.disk.power_loss(names=names)  # type: ignore[arg-type]
    assert program.found() == ({"file": b"new"} if names == "kept" else {"file": b"old", ".file": b"new"})


def test_a_removal_that_was_not_synced_is_undone_also_of_a_whole_folder(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder/below").mkdir(parents=True)
    written(tmp_path / "folder/below/file", b"content")
    for folder in ("folder/below", "folder", "."):
        sync(tmp_path / folder)
    shutil.rmtree(tmp_path / "folder")
    assert program.found() == {}
    program.disk.power_loss(names="lost")
    assert program.found() == {"folder": None, "folder/below": None, "folder/below/file": b"content"}


def test_a_removal_is_for_good_once_its_folder_is_synced(program: Program, tmp_path: Path) -> None:
    written(tmp_path / "file", b"content")
    sync(tmp_path)
    (tmp_path / "file").unlink()
    sync(tmp_path)
    program.disk.power_loss(names="lost")
    assert program.found() == {}


def test_files_of_a_folder_whose_own_name_was_not_synced_are_lost_with_it(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    written(tmp_path / "folder/file", b"content")
    sync(tmp_path / "folder")
    program.disk.power_loss(names="lost")
    assert program.found() == {}


def test_a_sync_of_one_of_two_folders_keeps_a_rename_between_them_whole(program: Program, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    written(tmp_path / "one/file", b"content")
    sync(tmp_path)
    (tmp_path / "one/file").rename(tmp_path / "other/file")
    sync(tmp_path / "other")
    program.disk.power_loss(names="lost")
    assert program.found() == {"one": None, "other": None, "other/file": b"content"}


def test_hard_links_stay_links_of_one_file(program: Program, tmp_path: Path) -> None:
    written(tmp_path / "file", b"content")
    os.link(tmp_path / "file", tmp_path / "link")
    sync(tmp_path)
    for _ in range(2):
        program.disk.power_loss(names="lost", content="lost")
        assert program.found() == {"file": b"content", "link": b"content"}
        assert (tmp_path / "file").samefile(tmp_path / "link")
        program.name = "another"


def test_a_link_and_the_removal_of_the_first_name_are_followed_by_descriptor_of_the_folder(
    program: Program, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    written(tmp_path / "folder/file", b"content")
    folder = os.open(tmp_path / "folder", os.O_RDONLY)
    os.link("file", "link", src_dir_fd=folder, dst_dir_fd=folder)
    os.remove("file", dir_fd=folder)
    sync_handle(folder)
    os.close(folder)
    sync(tmp_path)
    program.disk.power_loss(names="lost", content="lost")
    assert program.found() == {"folder": None, "folder/link": b"content"}


def test_a_file_that_is_overwritten_in_place_is_never_shorter_but_one_that_is_written_again_may_be(
    tmp_path: Path,
) -> None:
    def sizes(overwrite: Callable[[Path], object]) -> set[int]:
        found = set[int]()
        for seed in range(40):
            root = tmp_path / f"{overwrite.__name__}-{seed}"
            root.mkdir()
            program = Program(root, seed)
            with program.disk, hooked(program.disk.at_fault_point):
                written(root / "file", b"0003")
                sync(root)
                overwrite(root / "file")
                program.disk.power_loss()
            found.add((root / "file").stat().st_size)
        return found

    def in_place(path: Path) -> None:
        with open(path, "r+b") as file:
            file.write(b"0006")

    def again(path: Path) -> None:
        path.write_bytes(b"0006")

    def cut_off(path: Path) -> None:
        with open(path, "r+b") as file:
            os.ftruncate(file.fileno(), 2)
            file.write(b"0006")

    assert [sizes(in_place), sizes(again), sizes(cut_off)] == [{4}, {0, 4}, {2, 4}]


def test_symbolic_links_survive_or_do_not(program: Program, tmp_path: Path) -> None:
    (tmp_path / "kept").symlink_to("target")
    sync(tmp_path)
    (tmp_path / "lost").symlink_to("target")
    program.disk.power_loss(names="lost")
    program.name = "after"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert os.readlink(tmp_path / "kept") == "target"


@pytest.mark.parametrize("names", ["kept", "lost", "synced"])
def test_an_exchange_is_undone_or_stays(program: Program, tmp_path: Path, names: str) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        written(tmp_path / name / "file", name.encode())
        sync(tmp_path / name)
    sync(tmp_path)
    exchange(tmp_path / "one", tmp_path / "other")
    if names == "synced":
        sync(tmp_path)
    program.disk.power_loss(names="kept" if names == "kept" else "lost")
    one, other = (b"one", b"other") if names == "lost" else (b"other", b"one")
    assert program.found() == {"one": None, "one/file": one, "other": None, "other/file": other}


def test_files_that_other_code_than_python_wrote_are_found(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.system(f"echo content > {tmp_path}/folder/file; echo lost > {tmp_path}/folder/lost")
    sync(tmp_path / "folder/file")
    (tmp_path / "folder").rename(tmp_path / "place")
    sync(tmp_path / "place")
    sync(tmp_path)
    program.disk.power_loss(names="lost", content="lost")
    assert program.found() == {"place": None, "place/file": b"content\n", "place/lost": b""}


def test_modes_and_times_survive(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(0o700)
    written(tmp_path / "folder/file", b"content")
    os.chmod(tmp_path / "folder/file", 0o600)
    for path in ("folder/file", "folder"):
        os.utime(tmp_path / path, (1000, 2000))
        sync(tmp_path / path)
    sync(tmp_path)
    program.disk.power_loss(names="lost", content="lost")
    assert [(tmp_path / path).stat().st_mtime for path in ("folder", "folder/file")] == [2000, 2000]
    assert [(tmp_path / path).stat().st_mode & 0o777 for path in ("folder", "folder/file")] == [0o700, 0o600]


def test_with_a_journal_the_changes_that_survive_are_the_first_ones(tmp_path: Path) -> None:
    counts = set[int]()
    for seed in range(30):
        root = tmp_path / str(seed)
        root.mkdir()
        program = Program(root, seed, journal=True)
        with program.disk:
            for number in range(6):
                (root / str(number)).mkdir()
            program.disk.power_loss(content="kept")
        found = list(program.found())
        assert found == [str(number) for number in range(len(found))]
        counts.add(len(found))
    assert counts == set(range(7))


def test_without_a_journal_any_of_them_may_survive_but_what_they_depend_on_does_as_well(tmp_path: Path) -> None:
    outcomes = set[str]()
    for seed in range(60):
        root = tmp_path / str(seed)
        root.mkdir()
        program = Program(root, seed)
        with program.disk:
            (root / "a").mkdir()
            (root / "b").mkdir()
            (root / "b").rename(root / "c")
            program.disk.power_loss(content="kept")
        outcomes.add(" ".join(program.found()))
    assert outcomes == {"", "a", "b", "c", "a b", "a c"}


def test_with_a_journal_any_sync_keeps_all_changes_so_far(tmp_path: Path) -> None:
    program = Program(tmp_path, journal=True)
    with program.disk, hooked(program.disk.at_fault_point):
        (tmp_path / "folder").mkdir()
        written(tmp_path / "file", b"content")
        (tmp_path / "after").mkdir()
        program.disk.power_loss(names="lost")
    assert program.found() == {"file": b"content", "folder": None}


def test_changes_of_names_are_written_back_after_a_while(tmp_path: Path) -> None:
    program = Program(tmp_path, writeback=30.0)
    with program.disk:
        (tmp_path / "early").mkdir()
        program.now = 20.0
        (tmp_path / "late").mkdir()
        program.now = 31.0
        (tmp_path / "now").mkdir()
        program.disk.power_loss(names="lost")
    assert program.found() == {"early": None}


def test_opaque_files_survive_as_they_are(tmp_path: Path) -> None:
    program = Program(tmp_path, opaque=["*.sqlite3*"])
    with program.disk:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder/store.sqlite3-wal").write_bytes(b"log")
        (tmp_path / "folder/other").write_bytes(b"lost")
        program.disk.power_loss(names="lost", content="lost")
    assert program.found() == {"folder": None, "folder/store.sqlite3-wal": b"log"}


def test_the_same_seed_loses_the_same(tmp_path: Path) -> None:
    def after(seed: int, name: str) -> dict[str, bytes | None]:
        root = tmp_path / name
        root.mkdir()
        program = Program(root, seed)
        with program.disk:
            for number in range(8):
                (root / f"{number}").write_bytes(bytes([number + 1]) * 2000)
            program.disk.power_loss()
        return program.found()

    assert after(1, "a") == after(1, "b")
    assert after(1, "c") != after(2, "d")


def test_the_disk_can_lose_its_power_again(program: Program, tmp_path: Path) -> None:
    for turn in range(3):
        program.name = f"turn-{turn}"
        written(tmp_path / f"{turn}", b"kept")
        sync(tmp_path)
        (tmp_path / f"{turn}-lost").mkdir()
        program.disk.power_loss(names="lost", content="lost")
    assert program.found() == {"0": b"kept", "1": b"kept", "2": b"kept"}


# ---- cuts


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


# ---- processes


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
