"""The control of Chaos Toolkit that starts the system of an experiment before it, and ends it afterwards.

It runs in the process of Chaos Toolkit, so that it uses the standard library alone. The system holds on to a pipe from
here and ends with it, however this process ends.
"""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["after_experiment_control", "before_experiment_control"]

_START_SECONDS = 180.0
_END_SECONDS = 60.0
_PAUSE_SECONDS = 0.1
_running: list[subprocess.Popen[bytes]] = []


def before_experiment_control(context: object, name: str, configuration: Mapping[str, str]) -> None:
    """Start the system of an experiment, and wait until it is ready.

    Where it cannot start, the steady state is not there, and Chaos Toolkit ends with that.

    Args:
        context: the experiment as Chaos Toolkit has it.
        name: of the experiment.
        configuration: `state`, the file that will say where the system is.
    """
    state = Path(configuration["state"])
    state.unlink(missing_ok=True)
    # The first `python` of the path is the one with CQOx.
    command = ["python", "-m", "cqox.chaos", "toolkit", "serve", name, "--state", str(state)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    _running.append(process)
    end = time.monotonic() + _START_SECONDS
    while not state.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)


def after_experiment_control(context: object, name: str) -> None:
    """End the system, and wait until everything that it has started has ended.

    Args:
        context: the experiment as Chaos Toolkit has it.
        name: of the experiment; Chaos Toolkit gives every function of a control the same arguments.
    """
    while _running:
        process = _running.pop()
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
