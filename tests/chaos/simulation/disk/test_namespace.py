from random import Random

import pytest

from cqox.chaos.simulation.disk.namespace import Namespace, Node


def folder() -> Node:
    return Node("folder")


def visible(names: Namespace) -> list[str]:
    return [path for path, _ in names.paths()]


def test_programs_see_a_change_at_once_and_a_sync_of_its_folder_keeps_it() -> None:
    names = Namespace(folder())
    below = folder()
    names.change([(names.root, "a", below)], at=0.0)
    names.change([(below, "b", Node("file"))], at=0.0)
    assert visible(names) == ["a", "a/b"]
    assert names.find(["a", "b"]) is not None
    assert names.find(["a", "b", "c"]) is None
    names.sync_folder(names.root)
    assert names.lose(Random(1), "lost", journal=False) == 1
    assert visible(names) == ["a"]


def test_entries_of_one_change_survive_together() -> None:
    for seed in range(20):
        names = Namespace(folder())
        one, other = folder(), folder()
        names.change([(names.root, "one", one)], at=0.0)
        names.change([(names.root, "other", other)], at=0.0)
        names.change([(one, "file", node := Node("file"))], at=0.0)
        names.sync_all()
        names.change([(one, "file", None), (other, "file", node)], at=0.0)
        names.lose(Random(seed), "drawn", journal=False)
        assert visible(names) in (["one", "one/file", "other"], ["one", "other", "other/file"])


def test_a_sync_keeps_what_its_changes_depend_on() -> None:
    names = Namespace(folder())
    one, other = folder(), folder()
    names.change([(names.root, "one", one)], at=0.0)
    names.change([(names.root, "other", other)], at=0.0)
    names.sync_all()
    names.change([(one, "file", node := Node("file"))], at=0.0)
    names.change([(one, "file", None), (one, "renamed", node)], at=0.0)
    names.change([(one, "unrelated", Node("file"))], at=0.0)
    names.change([(one, "renamed", None), (other, "file", node)], at=0.0)
    names.sync_folder(other)
    assert names.pending == 1
    names.lose(Random(1), "lost", journal=False)
    assert visible(names) == ["one", "other", "other/file"]


@pytest.mark.parametrize(("until", "expected"), [(None, 0), (5.0, 1), (4.0, 2)])
def test_changes_up_to_a_time_are_put_on_the_disk(until: float | None, expected: int) -> None:
    names = Namespace(folder())
    names.change([(names.root, "a", Node("file"))], at=5.0)
    names.change([(names.root, "b", Node("file"))], at=6.0)
    names.sync_all(until=until)
    assert names.pending == expected


def test_all_changes_can_survive_and_the_journal_keeps_their_order() -> None:
    for seed in range(20):
        names = Namespace(folder())
        for name in "abcde":
            names.change([(names.root, name, Node("file"))], at=0.0)
        names.lose(Random(seed), "drawn", journal=True)
        assert "abcde".startswith("".join(visible(names)))
    names = Namespace(folder())
    names.change([(names.root, "a", Node("file"))], at=0.0)
    names.lose(Random(1), "kept", journal=False)
    assert visible(names) == ["a"]


def test_changes_in_folders_that_are_gone_are_forgotten_and_those_that_may_return_are_not() -> None:
    names = Namespace(folder())
    for number in range(1000):
        below = folder()
        names.change([(names.root, str(number), below)], at=0.0)
        names.change([(below, "file", Node("file"))], at=0.0)
        names.change([(names.root, str(number), None)], at=0.0)
        names.sync_folder(names.root)
    assert names.pending < 100
    kept = folder()
    names.change([(names.root, "kept", kept)], at=0.0)
    names.sync_all()
    for number in range(200):
        names.change([(kept, str(number), Node("file"))], at=0.0)
    names.change([(names.root, "kept", None)], at=0.0)
    for number in range(200):
        names.change([(names.root, str(number), folder())], at=0.0)
    # The folder is gone for programs alone: its removal may be lost, and then its files are as well or are not.
    assert names.pending == 401
