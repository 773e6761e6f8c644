"""`python -m benchmarks [--page | --history] [NAME ...]`: every benchmark of this folder, or the named ones."""

import argparse
import ast
import contextlib
import importlib
import os
import pkgutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import _history_page
from benchmarks._history import appended
from benchmarks._page import kept_as

# One BLAS thread for all, set before BLAS is loaded: at these sizes its threads cost more than they gain.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


FOLDER = Path(__file__).parent


def main() -> None:
    """Run the benchmarks sequentially; each prints its own table."""
    modules = pkgutil.iter_modules([str(FOLDER)])
    known = sorted(module.name for module in modules if module.name[0] != "_" and not module.ispkg)
    asked = parser(known).parse_args()
    for name in [] if asked.history else asked.names or known:
        with _kept(name) if asked.page else contextlib.nullcontext():
            importlib.import_module(f"benchmarks.{name}").main()
    if asked.history:
        _history_page.write()


@contextlib.contextmanager
def _kept(name: str) -> Iterator[None]:
    """Keep what a benchmark prints on the page of speed, and its ratios in the history and on its page."""
    with kept_as(name), appended(name):
        yield
    _history_page.write()


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
    found.add_argument(
        "--page", action="store_true", help="keep what is printed in docs/speed.md, and the ratios in the history"
    )
    found.add_argument(
        "--history", action="store_true", help="make docs/speed-history.md from the history; run nothing"
    )
    return found


def about(name: str) -> str:
    """Return the first line of a benchmark's docstring without importing the module."""
    docstring = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8")))
    return (docstring or "").partition("\n")[0]


if __name__ == "__main__":
    main()
