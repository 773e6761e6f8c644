"""`python -m cqox.resilience`: commands of the library."""

import argparse
import sys
from collections.abc import Sequence

from cqox.resilience.top import command

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: those of the process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m cqox.resilience", description="Commands of cqox.resilience.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command.configure(commands.add_parser("top", help="show what the policies of a running app do"))
    return command.run(parser.parse_args(arguments))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # while modules were loaded
        sys.exit(command.INTERRUPTED)
