import os
from pathlib import Path

import pytest

from cqox.chaos.simulation.disk.operations import Operation, operation_of, path_of


@pytest.mark.parametrize(
    ("event", "arguments", "expected"),
    [
        ("open", ("/a/b", "w", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), Operation("create", "/a/b", value=0)),
        ("open", (b"/a/b", None, os.O_RDWR), Operation("open", "/a/b")),
        ("open", (Path("/a/b"), "r", os.O_RDONLY | os.O_CLOEXEC), Operation("read", "/a/b")),
        ("open", ("/a", None, os.O_RDWR | os.O_TMPFILE), Operation("create", "/a")),
        ("open", (7, "r", os.O_RDONLY), None),
        ("os.rename", ("/a/./b", "/a/../c", -1, -1), Operation("rename", "/a/b", "/c")),
        ("os.link", ("/a", "/b", -1, -1), Operation("link", "/a", "/b")),
        ("os.remove", ("/a", -1), Operation("remove", "/a")),
        ("os.rmdir", ("/a", -1), Operation("remove_folder", "/a")),
        ("os.mkdir", ("/a", 0o777, -1), Operation("make_folder", "/a")),
        ("os.symlink", ("target", "/a", -1), Operation("symlink", "/a")),
        ("os.truncate", ("/a", 3), Operation("truncate", "/a", value=3)),
        ("os.chmod", ("/a", 0o600, -1), Operation("set_mode", "/a")),
        ("os.utime", ("/a", None, None, -1), Operation("set_times", "/a")),
        ("os.listdir", ("/a",), Operation("list", "/a")),
        ("os.remove", ("/proc/self/fd/1000000", -1), None),
        ("socket.bind", ("socket", "address"), None),
    ],
)
def test_an_event_is_an_operation(event: str, arguments: tuple[object, ...], expected: Operation | None) -> None:
    assert operation_of(event, arguments) == expected


def test_names_are_resolved_in_the_working_directory_and_in_open_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = os.open(tmp_path.parent, os.O_RDONLY)
    try:
        assert operation_of("os.remove", ("name", -1)) == Operation("remove", f"{tmp_path}/name")
        assert operation_of("os.remove", ("name", folder)) == Operation("remove", f"{tmp_path.parent}/name")
        assert operation_of("os.rename", ("a", "b", folder, -1)) == Operation(
            "rename", f"{tmp_path.parent}/a", f"{tmp_path}/b"
        )
        assert operation_of("os.scandir", (folder,)) == Operation("list", str(tmp_path.parent))
        assert operation_of("os.chmod", (f"/proc/self/fd/{folder}", 0, -1)) == Operation(
            "set_mode", str(tmp_path.parent)
        )
        assert operation_of("os.listdir", (None,)) == Operation("list", str(tmp_path))
        assert operation_of("fcntl.flock", (folder, 2)) == Operation(
            "lock", str(tmp_path.parent), descriptor=folder, value=2
        )
    finally:
        os.close(folder)
    assert operation_of("fcntl.flock", (folder, 2)) is None


def test_an_open_file_has_its_present_path_or_none(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        (tmp_path / "file").rename(tmp_path / "moved")
        assert path_of(file.fileno()) == str(tmp_path / "moved")
        (tmp_path / "moved").unlink()
        assert path_of(file.fileno()) is None
    assert path_of(file.fileno() if not file.closed else 1_000_000) is None
