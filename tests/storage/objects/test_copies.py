import os
from pathlib import Path
from threading import Barrier, Thread

import pytest

from cqox.errors import NotFound
from cqox.storage.objects.copies import LocalCopies

A = ("default", "a")


class Reader:
    """Reads editions whose one file has ten bytes, and counts what it fetches."""

    def __init__(self, root: Path, *, most_bytes: int = 1000) -> None:
        self.root = root
        self.copies = LocalCopies(root / "copies", most_bytes=most_bytes)
        self.fetched = list[str]()
        self.checked = 0

    def read(self, dataset: tuple[str, str] = A, edition: str = "e", view: str = "view") -> bytes:
        def fetch(folder: Path) -> None:
            self.fetched.append(edition)
            (folder / "table").write_bytes(edition[:1].encode() * 10)

        def is_intact(folder: Path) -> bool:
            self.checked += 1
            return (folder / "table").read_bytes() == edition[:1].encode() * 10

        place = self.root / f"{view}-{len(list(self.root.iterdir()))}-{id(fetch)}"
        self.copies.link(dataset, edition, place, scratch=self._scratch, fetch=fetch, is_intact=is_intact)
        return (place / "table").read_bytes()

    def _scratch(self) -> Path:
        folder = self.root / f"scratch-{len(self.fetched)}"
        folder.mkdir()
        return folder

    def kept(self) -> list[str]:
        return sorted(path.name for path in (self.root / "copies").glob("*/*/*"))

    def age(self, edition: str, seconds: float) -> None:
        (path,) = (self.root / "copies").glob(f"*/*/{edition}")
        at = path.stat().st_mtime - seconds
        os.utime(path, (at, at))


def test_a_copy_is_fetched_and_checked_once(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    assert reader.read() == reader.read() == b"e" * 10
    assert (reader.fetched, reader.checked) == (["e"], 1)
    assert not list(tmp_path.glob("scratch*"))


def test_a_copy_of_an_earlier_process_is_checked_again_and_a_damaged_one_fetched_again(tmp_path: Path) -> None:
    Reader(tmp_path).read()
    again = Reader(tmp_path)
    assert again.read() == b"e" * 10
    assert (again.fetched, again.checked) == ([], 1)
    (path,) = (tmp_path / "copies").glob("*/*/*/table")
    path.unlink()
    path.write_bytes(b"damaged!!!")
    assert Reader(tmp_path).read() == b"e" * 10
    assert path.read_bytes() == b"e" * 10


def test_concurrent_readers_of_one_edition_wait_for_one_copy(tmp_path: Path) -> None:
    reader, start = Reader(tmp_path), Barrier(6)
    found = list[bytes]()

    def read(number: int) -> None:
        start.wait()
        found.append(reader.read(view=f"view{number}"))

    threads = [Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"e" * 10] * 6
    assert reader.fetched == ["e"]


def test_the_least_recently_used_copies_make_way_and_their_readers_go_on(tmp_path: Path) -> None:
    reader = Reader(tmp_path, most_bytes=20)
    for number, edition in enumerate("abc"):
        reader.read(("default", edition), edition)
        if edition != "c":
            reader.age(edition, 100 - number)
    assert reader.kept() == ["b", "c"]
    assert [path.read_bytes() for path in tmp_path.glob("view-*/table")].count(b"a" * 10) == 1
    reader.read(("default", "a"), "a")
    assert reader.fetched == ["a", "b", "c", "a"]


def test_a_copy_beyond_the_bound_is_read_all_the_same(tmp_path: Path) -> None:
    assert Reader(tmp_path, most_bytes=0).read() == b"e" * 10


def test_copies_are_removed_where_the_disk_needs_the_space_and_that_helps(tmp_path: Path) -> None:
    reader, lacking = Reader(tmp_path), [10]
    for edition in "ab":
        reader.read(("default", edition), edition)
    reader.age("a", 100)
    reader.copies.release(lambda freed: 1000 - freed > 0)
    assert reader.kept() == ["a", "b"]

    def is_lacking(freed: int) -> bool:
        return lacking[0] - freed - 10 * (2 - len(reader.kept())) > 0

    reader.copies.release(is_lacking)
    assert reader.kept() == ["b"]


def test_what_was_deleted_elsewhere_is_forgotten(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    for dataset in (("default", "a"), ("default", "b"), ("acme", "a"), ("acme", "c")):
        reader.read(dataset, "-".join(dataset))
    reader.read(("default", "b"), "former")
    assert reader.copies.retain("default", {"b": "default-b"}.get) == 2
    assert reader.kept() == ["acme-a", "acme-c", "default-b"]
    assert not (tmp_path / "copies/default/a").exists()
    reader.copies.forget(("acme", "c"))
    assert reader.kept() == ["acme-a", "default-b"]
    reader.copies.forget_tenant("acme")
    assert reader.kept() == ["default-b"]
    assert reader.copies.retain("nobody", lambda _: None) == 0


def test_a_folder_is_adopted_as_a_copy(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "table").write_bytes(b"e" * 10)
    reader.copies.adopt(A, "e", folder)
    assert not folder.exists()
    assert (reader.read(), reader.fetched) == (b"e" * 10, [])


def test_what_cannot_be_fetched_leaves_nothing(tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path / "copies", most_bytes=10)

    def fetch(folder: Path) -> None:
        (folder / "half").write_bytes(b"half")
        raise NotFound("gone")

    (scratch := tmp_path / "scratch").mkdir()
    with pytest.raises(NotFound):
        copies.link(A, "e", tmp_path / "view", scratch=lambda: scratch, fetch=fetch, is_intact=lambda _: True)
    assert list(tmp_path.iterdir()) == []
