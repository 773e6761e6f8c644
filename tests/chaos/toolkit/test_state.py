"""Only a system of this user that the file names is asked."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cqox.chaos.experiments.ownership import NotOurs, start_of
from cqox.chaos.toolkit.state import Answer, State, SystemAway, ask


@contextmanager
def answering(path: Path, content: bytes) -> Iterator[list[bytes]]:
    """Answer one request on a socket."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            # The client may have left.
            with connection, suppress(OSError):
                asked.append(connection.recv(256))
                connection.sendall(content)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield asked
        thread.join(10)


def written(folder: Path, **changes: object) -> Path:
    known = {
        "experiment": "engine-killed",
        "pid": os.getpid(),
        "start": start_of(os.getpid()),
        "socket": str(folder / "s"),
    }
    State(**{**known, **changes}).write(folder / "state.json")
    return folder / "state.json"


def asked(file: Path, experiment: str = "engine-killed") -> Answer:
    return ask(file, experiment, "steady", seconds=5)


def test_a_system_is_asked_and_answers(tmp_path: Path) -> None:
    with answering(tmp_path / "s", json.dumps({"holds": True, "lines": ["well"]}).encode()) as requests:
        assert asked(written(tmp_path)) == Answer(holds=True, lines=("well",))
    assert requests == [b"steady\n"]


def test_the_file_is_for_this_user_alone(tmp_path: Path) -> None:
    file = written(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o622)
    with pytest.raises(SystemAway, match="of this user alone"):
        asked(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"experiment": "a", "pid": "x", "start": 1, "socket": "s"}'])
def test_what_is_no_state_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "state.json"
    with pytest.raises(SystemAway):
        asked(file)
    file.write_text(text)
    with pytest.raises(SystemAway):
        asked(file)


def test_the_system_of_another_experiment_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(SystemAway, match="it is the system of engine-killed"):
        asked(written(tmp_path), "vault-sealed")


def test_a_process_with_the_number_of_one_that_has_ended_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(NotOurs, match="has ended"):
        asked(written(tmp_path, start=1))


def test_a_socket_of_another_process_is_not_asked(tmp_path: Path) -> None:
    parent = os.getppid()
    with answering(tmp_path / "s", b"{}") as requests, pytest.raises(NotOurs, match="it listens where"):
        asked(written(tmp_path, pid=parent, start=start_of(parent)))
    assert requests == [b""]


@pytest.mark.parametrize("content", [b"", b"no JSON"])
def test_half_an_answer_is_none(tmp_path: Path, content: bytes) -> None:
    with answering(tmp_path / "s", content), pytest.raises(SystemAway, match="no answer"):
        asked(written(tmp_path))


def test_without_a_listener_there_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(SystemAway, match="no answer"):
        asked(written(tmp_path))
