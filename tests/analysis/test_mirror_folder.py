"""Folders of a mirror: held, and removed where nobody holds them."""

import subprocess
import sys
from pathlib import Path

from cqox.analysis.mirror_folder import Hold, remove_unused


def test_a_folder_that_is_held_stays(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    (folder / "0").mkdir(parents=True)
    first, second = Hold.of(folder), Hold.of(folder)
    assert first is not None
    assert second is not None
    first.release()
    first.release()
    assert not remove_unused(folder)
    assert (folder / "0").is_dir()
    second.release()
    assert remove_unused(folder)
    assert list(tmp_path.iterdir()) == []


def test_what_is_absent_is_gone_and_cannot_be_held(tmp_path: Path) -> None:
    assert Hold.of(tmp_path / "a") is None
    assert remove_unused(tmp_path / "a")


def test_a_folder_of_another_process_stays_until_that_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    code = (
        "import sys; from pathlib import Path; from cqox.analysis.mirror_folder import Hold\n"
        "hold = Hold.of(Path(sys.argv[1])); print(hold is not None, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        assert not remove_unused(folder)
        other.kill()
    assert remove_unused(folder)
