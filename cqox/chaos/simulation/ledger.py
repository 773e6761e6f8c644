"""The ledger of a long run: one line for each seed that is done, so that the run can be stopped and resumed."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from cqox.chaos.simulation.runner import Outcome

__all__ = ["Ledger", "LedgerMismatch"]


class LedgerMismatch(Exception):
    """The ledger belongs to another run."""


class Ledger:
    """A file of outcomes. Its first line says what they are of: the system, the minutes, and the code.

    Args:
        path: the file; it is created.
        system: name of the system.
        minutes: how long each run lasts.
        code: digest of the code.

    Raises:
        LedgerMismatch: the file is of another system, duration or code, or is no ledger.
    """

    def __init__(self, path: Path, *, system: str, minutes: float, code: str) -> None:
        self._path = path
        head = {"system": system, "minutes": minutes, "code": code}
        self.done: dict[int, Outcome] = {}
        if path.exists():
            self._read(head)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append(json.dumps(head))

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of a seed."""
        self.done[outcome.seed] = outcome
        self._append(json.dumps(asdict(outcome)))

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.done.values())

    def _read(self, head: dict[str, object]) -> None:
        first, *lines = self._path.read_text(encoding="utf-8").splitlines() or [""]
        try:
            found = json.loads(first)
        except ValueError:
            found = None
        if found != head:
            said = f"{self._path} is of {found}, and this run is of {head}"
            raise LedgerMismatch(f"{said}: name another file, or remove it")
        for line in lines:
            try:
                outcome = Outcome.from_json(line.encode())
            except (ValueError, TypeError):
                # The end of a run that was killed while it wrote.
                continue
            self.done[outcome.seed] = outcome

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
