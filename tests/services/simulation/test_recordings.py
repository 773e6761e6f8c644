from pathlib import Path

import pytest

from services.simulation.recordings import Recorded, Recordings, UnknownTask, digest_of_sources, task_key

ROOT = Path(__file__).parents[3]


def test_a_task_is_known_by_its_arguments_and_the_content_of_its_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a")
    other.write_text("a")
    key = task_key("analyze", {"path": str(one), "folder": "x", "threads": 1, "request": {"seed": 1}})
    assert key == task_key("analyze", {"path": str(other), "folder": "y", "threads": 2, "request": {"seed": 1}})
    assert key != task_key("analyze", {"path": str(one), "request": {"seed": 2}})
    assert key != task_key("preview", {"path": str(one), "request": {"seed": 1}})
    other.write_text("b")
    assert key != task_key("analyze", {"path": str(other), "request": {"seed": 1}})


def test_recordings_are_written_and_read_with_the_code_that_they_come_from(tmp_path: Path) -> None:
    made, path = Recordings(), tmp_path / "answers"
    answer = Recorded(body={"a": [1]}, payload=b"\0\xff", steps=({"step": "read"},), files={"table": b"\1"})
    made.add(task_key("sample", {"name": "test"}), answer)
    made.add(task_key("sample", {"name": "test"}), Recorded(body={}))
    assert Recordings.read(path, "code") is None
    made.write(path, "code")
    read = Recordings.read(path, "code")
    assert read is not None
    assert len(read) == 1
    found = read.find("sample", {"name": "test"})
    assert (found.body, found.payload, list(found.steps), found.files) == (
        {"a": [1]},
        b"\0\xff",
        [{"step": "read"}],
        {"table": b"\1"},
    )
    with pytest.raises(UnknownTask, match="no worker was asked sample"):
        read.find("sample", {"name": "other"})
    assert Recordings.read(path, "other code") is None


def test_the_code_that_decides_what_workers_answer_has_a_digest() -> None:
    assert digest_of_sources(ROOT) == digest_of_sources(ROOT)
    assert len(digest_of_sources(ROOT)) == 32
