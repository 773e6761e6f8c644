import os
import threading
from pathlib import Path

import pytest

from cqox.chaos.simulation.disk.audit import listening, unobserved


def names_of(met: list[tuple[str, tuple[object, ...]]]) -> list[str]:
    return [name for name, _ in met if name.startswith("os.")]


def test_a_listener_gets_events_before_they_happen_until_the_block_exits(tmp_path: Path) -> None:
    met: list[tuple[str, tuple[object, ...]]] = []
    existed: list[bool] = []

    def listen(event: str, arguments: tuple[object, ...]) -> None:
        met.append((event, arguments))
        existed.append((tmp_path / "folder").exists())

    with listening(listen):
        (tmp_path / "folder").mkdir()
    (tmp_path / "other").mkdir()
    assert names_of(met) == ["os.mkdir"]
    assert not any(existed)


def test_what_a_listener_raises_reaches_the_caller_and_prevents_the_operation(tmp_path: Path) -> None:
    def refuse(event: str, _: tuple[object, ...]) -> None:
        if event == "os.mkdir":
            raise OSError("refused")

    with listening(refuse), pytest.raises(OSError, match="refused"):
        (tmp_path / "folder").mkdir()
    assert not (tmp_path / "folder").exists()


def test_two_listeners_get_the_same_events_and_none_gets_those_that_listeners_cause(tmp_path: Path) -> None:
    one: list[str] = []
    other: list[str] = []

    def listen(event: str, _: tuple[object, ...]) -> None:
        if event == "os.mkdir":
            one.append(event)
            os.listdir(tmp_path)

    with listening(listen), listening(lambda event, _: other.append(event)):
        (tmp_path / "folder").mkdir()
    assert one == ["os.mkdir"]
    assert [event for event in other if event.startswith("os.")] == ["os.mkdir"]


def test_events_of_a_block_are_not_passed_on_but_those_of_other_threads_are(tmp_path: Path) -> None:
    met: list[tuple[str, tuple[object, ...]]] = []
    with listening(lambda *event: met.append(event)):
        with unobserved():
            with unobserved():
                (tmp_path / "one").mkdir()
            (tmp_path / "two").mkdir()
            thread = threading.Thread(target=lambda: os.rmdir(tmp_path / "one"))
            thread.start()
            thread.join()
        (tmp_path / "three").mkdir()
    assert names_of(met) == ["os.rmdir", "os.mkdir"]
