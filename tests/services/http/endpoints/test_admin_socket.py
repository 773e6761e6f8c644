import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.http.endpoints.admin_socket import AdminSocketUnusable, open_admin_socket


@pytest.fixture
def folder():
    # That of pytest may be too long for a socket.
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        yield Path(made)


@pytest.fixture
def umask():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(str(path)) == 0


def leave_behind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def test_the_socket_and_a_folder_made_for_it_are_for_their_owner_alone(folder, umask):
    opened = open_admin_socket(folder / "data" / "admin.sock", data_dir=folder / "data")
    assert opened.path == folder / "data" / "admin.sock"
    assert (mode(opened.path), mode(opened.path.parent)) == (0o600, 0o700)
    assert stat.S_ISSOCK(opened.path.lstat().st_mode)
    assert connects(opened.path)
    opened.close()
    assert not opened.path.exists()


def test_the_socket_is_for_its_owner_alone_from_its_first_moment(folder, umask, monkeypatch):
    # Later changes of the file are suppressed.
    monkeypatch.setattr(Path, "chmod", lambda *_: pytest.fail("the mode came later"))
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask is that of every thread"))
    opened = open_admin_socket(folder / "admin.sock")
    assert mode(opened.path) == 0o600
    opened.close()


def test_a_folder_that_is_there_stays_as_it_is(folder):
    folder.chmod(0o755)
    open_admin_socket(folder / "admin.sock").close()
    assert mode(folder) == 0o755


def test_the_socket_of_a_process_that_is_gone_is_replaced(folder):
    leave_behind(folder / "admin.sock")
    opened = open_admin_socket(folder / "admin.sock")
    assert (opened.path, opened.note) == (folder / "admin.sock", "")
    assert connects(opened.path)
    opened.close()


def test_the_socket_of_a_process_that_lives_is_left_alone(folder):
    first = open_admin_socket(folder / "admin.sock")
    second = open_admin_socket(folder / "admin.sock")
    assert second.path == folder / "admin-2.sock"
    assert second.note == f"{first.path} belongs to another process that runs"
    first.close()
    assert connects(second.path)
    third = open_admin_socket(folder / "admin.sock")
    assert third.path == first.path
    third.close()
    second.close()
    assert list(folder.iterdir()) == []


def test_one_whose_queue_is_full_lives(folder):
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(folder / "admin.sock"))
        busy.listen(0)
        waiting.setblocking(False)
        waiting.connect(str(folder / "admin.sock"))
        opened = open_admin_socket(folder / "admin.sock")
        assert opened.path.name == "admin-2.sock"
        opened.close()


@pytest.mark.parametrize("what", ["file", "link", "folder"])
def test_what_is_no_socket_is_never_removed(folder, what):
    path, kept = folder / "admin.sock", folder / "kept"
    kept.write_text("kept")
    {"file": lambda: path.write_text("mine"), "link": lambda: path.symlink_to(kept), "folder": path.mkdir}[what]()
    opened = open_admin_socket(path)
    assert opened.path.name == "admin-2.sock"
    opened.close()
    assert path.exists(follow_symlinks=False)
    assert kept.read_text() == "kept"


def test_a_file_that_took_its_place_meanwhile_stays_at_the_end(folder):
    opened = open_admin_socket(folder / "admin.sock")
    opened.path.unlink()
    opened.path.write_text("of somebody else")
    opened.close()
    assert opened.path.read_text() == "of somebody else"


@pytest.mark.parametrize("length", [108, 200])
def test_a_path_that_is_too_long_is_said_to_be(folder, length):
    path = folder / ("あ" + "a" * (length - len(str(folder)) - 4))
    with pytest.raises(AdminSocketUnusable, match=f"its path has {length} bytes, .* 107 at most.*CQOX_ADMIN_SOCKET"):
        open_admin_socket(path)


def test_the_longest_path_works(folder):
    path = folder / ("a" * (107 - len(str(folder)) - 1))
    opened = open_admin_socket(path)
    assert connects(path)
    opened.close()


def test_a_folder_that_cannot_be_made_is_said_with_the_reason(folder):
    (folder / "file").write_text("")
    with pytest.raises(
        AdminSocketUnusable, match=r"There is no admin socket at .*file/admin.sock \(.*file is no folder"
    ):
        open_admin_socket(folder / "file" / "admin.sock")


def test_no_other_folder_than_the_data_directory_is_made(folder):
    for data_dir in (None, folder / "data"):
        with pytest.raises(AdminSocketUnusable, match=r"there is no folder .*nonexistent, .*CQOX_ADMIN_SOCKET"):
            open_admin_socket(folder / "nonexistent" / "x.sock", data_dir=data_dir)
    assert not list(folder.iterdir())


def test_of_many_that_start_at_once_each_has_a_socket_of_its_own(folder):
    for round_number in range(20):
        leave_behind(folder / "admin.sock")
        with ThreadPoolExecutor(4) as threads:
            opened = list(threads.map(open_admin_socket, [folder / "admin.sock"] * 4))
        assert len({one.path for one in opened}) == 4, round_number
        assert all(connects(one.path) for one in opened)
        for one in opened:
            one.close()


def test_no_other_process_replaces_a_socket_meanwhile(folder, monkeypatch):
    leave_behind(folder / "admin.sock")
    seen, remove = [], Path.unlink

    def looked(path: Path, **how: bool) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            seen.append(path)
        os.close(handle)
        remove(path, **how)

    monkeypatch.setattr(Path, "unlink", looked)
    opened = open_admin_socket(folder / "admin.sock")
    assert seen == [folder / "admin.sock"]
    opened.close()


HOLDER = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_who_holds_a_lock_on_the_folder_does_not_keep_a_service_from_starting(folder):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        open_admin_socket(folder / "admin.sock").close()
        holder.stdin.close()
