"""Paths that a pattern names, and folders that may not be listed."""

import multiprocessing
import os
from pathlib import Path

import pytest

from cqox.errors import UnreadableFile
from cqox.sources.patterns import matches


def found(base: Path, pattern: str) -> set[str]:
    parts = Path(pattern).parts
    return {str(path.relative_to(base)) for path in matches(base, parts, is_hidden=lambda path: path.name[0] == "_")}


def as_another_user(base: Path, pattern: str) -> str:
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        return str(sorted(found(base, pattern)))
    except UnreadableFile as error:
        return str(error.detail)


def made(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*/a.csv", {"d/a.csv", "e[1]/a.csv"}), ("**/a.csv", {"a.csv", "d/a.csv", "d/f/a.csv", "e[1]/a.csv"}),
        ("e[[]1]/*", {"e[1]/a.csv"}), ("d/*/a.csv", {"d/f/a.csv"}), ("x/*", set()), ("a.csv/*", set()),
    ],
)  # fmt: skip
def test_a_pattern_names_what_glob_finds(tmp_path: Path, pattern: str, names: set[str]) -> None:
    made(tmp_path / "[b]", "a.csv", "d/a.csv", "d/f/a.csv", "e[1]/a.csv", "_t/a.csv")
    (tmp_path / "[b]/d/up").symlink_to(tmp_path / "[b]/d")
    (tmp_path / "[b]/d/loop").symlink_to(tmp_path / "[b]/d/loop")
    found_names = found(tmp_path / "[b]", pattern)
    assert {name for name in found_names if "/up/" not in name} - {"_t/a.csv"} == names


@pytest.mark.parametrize(
    ("pattern", "closed", "mode", "named"),
    [
        ("*/a.csv", "d", 0o000, "d"), ("**/a.csv", "d/f", 0o000, "d/f"), ("d/*/*.csv", "d/f", 0o000, "d/f"),
        ("*", ".", 0o111, "."), ("*/f/*.csv", "d", 0o600, "d/f"), ("d/f/*", "d", 0o600, "d/f"),
    ],
)  # fmt: skip
def test_a_folder_in_the_middle_that_cannot_be_listed_is_named(
    tmp_path: Path, pattern: str, closed: str, mode: int, named: str
) -> None:
    base = tmp_path / "base"
    made(base, "d/a.csv", "d/f/a.csv", "e/a.csv", "e/f/a.csv", "_t/a.csv")
    modes = {folder: folder.stat().st_mode for folder in (base, *base.parents)}
    for folder, before in modes.items():
        if before & 0o5 != 0o5:
            folder.chmod(0o755)
    (base / "_t").chmod(0o700 if os.geteuid() == 0 else 0o000)
    # Another user has the rights of the group or of others.
    (base / closed).chmod(mode if os.geteuid() != 0 else 0o700 | (mode >> 3) | (mode >> 6))
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            open_, said = pool.starmap(as_another_user, [(base, "e/*.csv"), (base, pattern)])
    finally:
        for folder in (base / closed, base / "_t"):
            folder.chmod(0o755)
        for folder, before in modes.items():
            if folder.stat().st_mode != before:
                folder.chmod(before)
    if closed != ".":
        assert open_ == "['e/a.csv']"
    assert said == f"The file {base / named} cannot be read: Permission denied."
