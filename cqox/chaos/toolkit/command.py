"""The command `python -m cqox.chaos toolkit`: what experiments of Chaos Toolkit call, and runs with a verdict."""

import argparse
import importlib
import os
import sys
from pathlib import Path

from cqox.chaos.experiments.ownership import NotOurs
from cqox.chaos.experiments.reading import ExperimentInvalid, read_experiment
from cqox.chaos.toolkit.journals import Expected, run_all
from cqox.chaos.toolkit.state import REQUESTS, SystemAway, ask

__all__ = ["add_arguments", "run"]

_FOLDER = Path("deploy/chaos/experiments")
_RENDERED = Path("deploy/chaos/toolkit")
_JOURNALS = Path("build/chaos/toolkit")
_SYSTEM = "tests.chaos.system:open_system"
_SYSTEM_VARIABLE = "CHAOS_SYSTEM"
_HELD, _FAILED, _REFUSED = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    serving = actions.add_parser("serve", help="start the system of an experiment, and serve it until stdin ends")
    serving.add_argument("name", metavar="NAME")
    serving.add_argument("--state", type=Path, required=True, help="file that will say where the system is")
    serving.add_argument("--folder", type=Path, default=_FOLDER, help="files of experiments (default: %(default)s)")
    serving.add_argument(
        "--system",
        default=os.environ.get(_SYSTEM_VARIABLE, _SYSTEM),
        metavar="MODULE:FUNCTION",
        help=f"how the system is started (default: {_SYSTEM_VARIABLE}, or {_SYSTEM})",
    )
    asking = actions.add_parser("ask", help="ask or break a system that an experiment has started")
    asking.add_argument("name", metavar="NAME", help="the experiment")
    asking.add_argument("request", choices=REQUESTS)
    asking.add_argument("fault", nargs="?", type=int, default=None, help="number of a fault, from 1")
    asking.add_argument("--state", type=Path, required=True, help="file that says where the system is")
    asking.add_argument("--seconds", type=float, default=240.0, help="how long to wait (default: %(default)s)")
    running = actions.add_parser("run", help="run experiments with Chaos Toolkit, and read their journals")
    running.add_argument("names", nargs="*", metavar="NAME", help="experiments to run; none only validates all files")
    running.add_argument("--chaos", type=Path, required=True, help="the program of Chaos Toolkit")
    running.add_argument("--rendered", type=Path, default=_RENDERED, help="its files (default: %(default)s)")
    running.add_argument("--journals", type=Path, default=_JOURNALS, help="folder (default: %(default)s)")
    running.add_argument("--expect", choices=[each.value for each in Expected], default=Expected.HELD.value)


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 where what was asked for holds; 1 where it does not; 2 where it is refused or cannot be had.
    """
    if arguments.action == "ask":
        return _ask(arguments)
    if arguments.action == "serve":
        return _serve(arguments)
    lines, held = run_all(
        arguments.names, arguments.chaos, arguments.rendered, arguments.journals, Expected(arguments.expect)
    )
    for line in lines:
        _say(line)
    return _HELD if held else _FAILED


def _ask(arguments: argparse.Namespace) -> int:
    request = arguments.request if arguments.fault is None else f"{arguments.request} {arguments.fault}"
    try:
        answer = ask(arguments.state, arguments.name, request, seconds=arguments.seconds)
    except (SystemAway, NotOurs) as refused:
        return _complain(str(refused))
    for line in answer.lines:
        _say(line)
    return _HELD if answer.holds else _FAILED


def _serve(arguments: argparse.Namespace) -> int:
    # Here alone: a request must not wait for imports while a fault goes on.
    from cqox.chaos.toolkit.serving import serve_until_left

    try:
        experiment = read_experiment(arguments.folder / f"{arguments.name}.toml")
        module, colon, function = arguments.system.partition(":")
        if not colon:
            raise ValueError(f"--system {arguments.system}: expected MODULE:FUNCTION")
        # The files of a checkout are found from its root.
        sys.path.insert(0, str(Path.cwd()))
        opener = getattr(importlib.import_module(module), function)
    except (ExperimentInvalid, ImportError, AttributeError, ValueError) as error:
        return _complain(str(error))
    return _HELD if serve_until_left(experiment, opener, arguments.state, say=_say) else _REFUSED


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(reason: str) -> int:
    sys.stderr.write(f"{reason}\n")
    return _REFUSED
