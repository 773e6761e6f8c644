"""A program of `examples/resilience` as a process, and the lines that it has printed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.parent import ending_with_parent
from tests.waiting import PATIENCE_SECONDS

__all__ = ["PROGRAMS", "Program", "running"]

PROGRAMS = Path(__file__).parents[2] / "examples" / "resilience"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process that runs; `output` and `errors` keep what it prints, also when it is killed."""

    process: subprocess.Popen[bytes]
    output: Path
    errors: Path

    def printed(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def log(self) -> str:
        return self.errors.read_text(encoding="utf-8")

    def ended(self, number: int | None = None) -> int:
        """Send the signal, if one is given, and return the exit code."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def running(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Program]:
    """Run Python with the arguments among the programs; kill it at the end where it still runs."""
    output, errors = folder / "output", folder / "errors"
    with output.open("ab") as out, errors.open("ab") as err:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROGRAMS,
            env=os.environ | (env or {}),
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=ending_with_parent(signal.SIGKILL),
        )
    try:
        yield Program(process=process, output=output, errors=errors)
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)
