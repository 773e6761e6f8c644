"""`python -m cqox`: the commands that need no services."""

import sys

from cqox.parts import is_installed

__all__ = ["main"]


def main() -> None:
    """Run the command line; without the packages that it needs, exit with the command that installs them."""
    try:
        from cqox.cli.app import main as run
    except ModuleNotFoundError as error:
        if is_installed(error.name or ""):
            raise
        sys.exit(f"python -m cqox needs {error.name}, which is not installed: pip install 'cqox[engine]'")
    run("python -m cqox")


if __name__ == "__main__":
    main()
