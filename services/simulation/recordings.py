"""Answers of real workers, by task: a simulation replays it, and finds nothing where it asks for more.

A task is known by its name and its arguments; files that it reads count by their content, those that it writes are
recorded with its answer.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

__all__ = ["Recorded", "Recordings", "UnknownTask", "digest_of_sources", "task_key"]

_SOURCES = ("cqox/analysis", "cqox/contract", "cqox/datasets", "cqox/diagnostics", "cqox/estimators", "cqox/figures")


class UnknownTask(Exception):
    """No worker was ever asked this: the simulated system asks for something that the recorded one did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The answer of a worker.

    Attributes:
        body: its JSON object.
        payload: its binary data.
        steps: the steps that were reported meanwhile.
        files: what it wrote into its folder, by name.
    """

    body: Mapping[str, Any]
    payload: bytes = b""
    steps: Sequence[Mapping[str, Any]] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


def task_key(name: str, arguments: Mapping[str, object]) -> str:
    """Return what a task is known by: name and arguments, with the content of the file at `path` and without `folder`.

    Raises:
        OSError: the file cannot be read.
    """
    known = {key: value for key, value in arguments.items() if key not in ("path", "folder", "threads")}
    if "path" in arguments:
        known["path"] = blake2b(Path(str(arguments["path"])).read_bytes(), digest_size=16).hexdigest()
    text = json.dumps([name, known], sort_keys=True, default=str)
    return f"{name} {blake2b(text.encode(), digest_size=16).hexdigest()}"


class Recordings:
    """The recorded answers by the key of their task."""

    def __init__(self) -> None:
        self._answers: dict[str, Recorded] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def add(self, key: str, answer: Recorded) -> None:
        """Record an answer; the first one of a task is kept."""
        self._answers.setdefault(key, answer)

    def find(self, name: str, arguments: Mapping[str, object]) -> Recorded:
        """Return the answer to a task.

        Raises:
            UnknownTask: there is none.
        """
        key = task_key(name, arguments)
        if key not in self._answers:
            raise UnknownTask(f"no worker was asked {key} when the answers were recorded")
        return self._answers[key]

    def write(self, path: Path, sources: str) -> None:
        """Write the recordings to a file, with the digest of the code that they come from."""
        answers = {
            key: {
                "body": one.body,
                "payload": b64encode(one.payload).decode("ascii"),
                "steps": list(one.steps),
                "files": {name: b64encode(data).decode("ascii") for name, data in one.files.items()},
            }
            for key, one in self._answers.items()
        }
        scratch = path.with_name(f".{path.name}")
        scratch.write_text(json.dumps({"sources": sources, "answers": answers}), encoding="utf-8")
        scratch.replace(path)

    @classmethod
    def read(cls, path: Path, sources: str) -> Self | None:
        """Read the recordings of a file; None where there are none, or they come from other code."""
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if stored["sources"] != sources:
            return None
        made = cls()
        for key, one in stored["answers"].items():
            files = {name: b64decode(data) for name, data in one["files"].items()}
            answer = Recorded(body=one["body"], payload=b64decode(one["payload"]), steps=one["steps"], files=files)
            made.add(key, answer)
        return made


def digest_of_sources(root: Path) -> str:
    """Return a digest of the code that decides what workers answer, and of what is asked."""
    found = blake2b(digest_size=16)
    paths = [path for folder in _SOURCES for path in (root / folder).rglob("*.py")]
    for path in sorted([*paths, root / "services/simulation/catalog.py", root / "services/simulation/record.py"]):
        found.update(path.relative_to(root).as_posix().encode())
        found.update(path.read_bytes())
    return found.hexdigest()
