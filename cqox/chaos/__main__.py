"""Run `python -m cqox.chaos`: one command for each way to break a system."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

_COMMANDS = {
    "simulate": ("cqox.chaos.simulation.command", "run a system under seeded faults in simulated time"),
    "experiments": ("cqox.chaos.experiments.command", "run, list or render experiments on real processes"),
    "toolkit": ("cqox.chaos.toolkit.command", "serve and ask the systems of Chaos Toolkit's experiments"),
}
"""The module of each command, which has `add_arguments(parser)` and `run(arguments) -> int`."""


def main(given: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        given: the arguments of the command line; those of this process by default.
    """
    arguments = sys.argv[1:] if given is None else list(given)
    parser = argparse.ArgumentParser(prog="python -m cqox.chaos", description="Break a system on purpose.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, what) in _COMMANDS.items():
        command = commands.add_parser(name, help=what, description=what[:1].upper() + what[1:] + ".")
        if arguments[:1] == [name]:
            # Only the command that runs is loaded.
            import_module(module).add_arguments(command)
    parsed = parser.parse_args(arguments)
    return int(import_module(_COMMANDS[parsed.command][0]).run(parsed))


if __name__ == "__main__":
    raise SystemExit(main())
