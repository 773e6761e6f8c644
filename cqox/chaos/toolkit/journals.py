"""Runs of Chaos Toolkit, and the verdict of a journal."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

__all__ = ["Expected", "run_all", "verdict"]

_RUN_SECONDS = 900.0
_VALIDATE_SECONDS = 60.0


class Expected(Enum):
    """The result that a run is expected to have."""

    HELD = "held"
    DEVIATED = "deviated"


def verdict(journal: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a journal says, in one word and one line.

    The word is `held` only if the run is completed, did not deviate, and every activity of its method and its rollbacks
    succeeded; `deviated` if the steady state held before and something promised did not hold afterwards; else `failed`.
    """
    failed = [
        f"{each['activity']['name']}: {_output(each)}"
        for each in (*journal.get("run", ()), *journal.get("rollbacks", ()))
        if not _passed(each)
    ]
    status, deviated = journal.get("status"), journal.get("deviated")
    states = journal.get("steady_states") or {}
    steady = bool((states.get("before") or {}).get("steady_state_met"))
    if status != "completed" or not steady:
        return "failed", f"status {status}, steady before: {'yes' if steady else 'no'}"
    if deviated:
        return "deviated", "; ".join(failed) or "the steady state did not come back"
    return ("failed", "; ".join(failed)) if failed else ("held", f"{len(journal.get('run', ()))} activities")


def _passed(activity: Mapping[str, Any]) -> bool:
    output = activity.get("output")
    return activity.get("status") == "succeeded" and (not isinstance(output, dict) or output.get("status", 0) == 0)


def _output(activity: Mapping[str, Any]) -> str:
    output = activity.get("output")
    said = f"{output.get('stdout', '')}{output.get('stderr', '')}" if isinstance(output, dict) else str(output)
    lines = [line for line in said.splitlines() if "holds:" not in line]
    return "; ".join(lines)[:300]


def run_all(
    names: Sequence[str], chaos: Path, rendered: Path, journals: Path, expected: Expected
) -> tuple[list[str], bool]:
    """Validate every rendered experiment, or run some; return a line for each, and whether all are as expected.

    Args:
        names: experiments to run; without one, all files are validated.
        chaos: the program of Chaos Toolkit.
        rendered: folder of the rendered experiments.
        journals: folder for the journals.
        expected: what each run has to show.
    """
    journals.mkdir(parents=True, exist_ok=True)
    # Its control is found from the root of the checkout, where this is called.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (".", os.environ.get("PYTHONPATH", ""))))}
    quiet = [str(chaos), "--no-version-check", "--no-log-file"]
    if not names:
        files = sorted(rendered.glob("*.json"))
        wrong = []
        for file in files:
            done = subprocess.run(
                [*quiet, "validate", str(file)],
                env=environment,
                capture_output=True,
                text=True,
                timeout=_VALIDATE_SECONDS,
            )
            if done.returncode:
                wrong.append(f"{file.name}: {done.stderr[-500:]}")
        return [*wrong, f"{len(files) - len(wrong)} of {len(files)} files are valid"], bool(files) and not wrong
    lines, held = [], True
    for name in names:
        journal = journals / f"{name}.journal.json"
        journal.unlink(missing_ok=True)
        subprocess.run(
            [*quiet, "run", "--journal-path", str(journal), str(rendered / f"{name}.json")],
            env={**environment, "CHAOS_STATE": str(journals / f"{name}.state.json")},
            timeout=_RUN_SECONDS,
        )
        word, found = verdict(json.loads(journal.read_text())) if journal.exists() else ("failed", "no journal")
        held = held and word == expected.value
        lines.append(f"{name}: {word}: {found}")
    return lines, held
