import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from cqox.storage import exchange as module
from cqox.storage.exchange import complete_exchanges, exchange


def folders(root: Path) -> tuple[Path, Path]:
    for name in ("one", "other"):
        (root / name).mkdir()
        (root / name / "file").write_text(name)
    return root / "one", root / "other"


def test_two_folders_change_places(tmp_path: Path) -> None:
    one, other = folders(tmp_path)
    exchange(one, other)
    assert ((one / "file").read_text(), (other / "file").read_text()) == ("other", "one")


def test_a_reader_finds_one_of_them_at_any_time(tmp_path: Path) -> None:
    one, other = folders(tmp_path)
    found, stop = set[str](), threading.Event()

    def read() -> None:
        while not stop.is_set():
            found.add((one / "file").read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(2_000):
        exchange(one, other)
    stop.set()
    reader.join()
    assert found <= {"one", "other"}


def test_without_the_operation_they_change_places_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = folders(tmp_path)
    monkeypatch.setattr(module.ctypes, "CDLL", lambda *_, **__: object())
    exchange(one, other)
    assert ((one / "file").read_text(), (other / "file").read_text()) == ("other", "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_an_exchange_that_was_killed_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    new, place = folders(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    new = new.rename(tmp_path / "elsewhere" / "one")
    monkeypatch.setattr(module.ctypes, "CDLL", lambda *_, **__: object())
    real, done = Path.rename, 0

    def killed(path: Path, target: Path) -> Path:
        nonlocal done
        if done == renames:
            raise KeyboardInterrupt
        done += 1
        return real(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt) if renames < 3 else nullcontext():
        exchange(new, place)
    monkeypatch.undo()
    complete_exchanges(tmp_path)
    assert (place / "file").read_text() == ("other" if renames < 2 else "one")
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "other"}


def test_a_missing_folder_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    one, _ = folders(tmp_path)
    with pytest.raises(FileNotFoundError):
        exchange(one, tmp_path / "missing")
    assert (one / "file").read_text() == "one"
