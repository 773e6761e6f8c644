"""`python -m benchmarks [--page] [NAME ...]`: every benchmark of this folder, or the ones that are named."""

import argparse
import ast
import contextlib
import importlib
import os
import pkgutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks._page import kept_as

# One BLAS thread for all, set before BLAS is loaded: at these sizes its threads cost more than they gain.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


FOLDER = Path(__file__).parent


def main() -> None:
    """Run the benchmarks sequentially; each prints its own table."""
    known = sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.name[0] != "_")
    asked = parser(known).parse_args()
    for name in asked.names or known:
        with kept_as(name) if asked.page else contextlib.nullcontext():
            importlib.import_module(f"benchmarks.{name}").main()


def parser(known: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the command line; it rejects unknown names and lists the known ones."""

    def named(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"no benchmark {text}; there are {', '.join(known)}")
        return text

    width = max(map(len, known))
    found = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure CQOx against its peers in one run and print a table for each benchmark.",
        epilog="benchmarks:\n" + "\n".join(f"  {name:{width}}  {about(name)}" for name in known),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("names", nargs="*", type=named, metavar="NAME", help="what to run; everything if absent")
    found.add_argument("--page", action="store_true", help="keep what is printed in docs/speed.md as well")
    return found


def about(name: str) -> str:
    """Return the first line of a benchmark's docstring without importing the module."""
    docstring = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8")))
    return (docstring or "").partition("\n")[0]


if __name__ == "__main__":
    main()
