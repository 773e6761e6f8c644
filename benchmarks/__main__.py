"""`python -m benchmarks [--page] [NAME ...]`: every benchmark of this folder, or the ones that are named.

`--page` keeps what they print in `docs/speed.md` as well.
"""

import contextlib
import importlib
import os
import pkgutil
import sys
from pathlib import Path

from benchmarks._page import kept_as

# One thread of BLAS for everybody, and before anything loads it: its own threads cost more than they give at this size.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def main() -> None:
    """Run them one after the other; each prints its own table."""
    known = sorted(
        module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name[0] != "_"
    )
    keep = "--page" in sys.argv[1:]
    wanted = [name for name in sys.argv[1:] if name != "--page"] or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"No benchmark {', '.join(unknown)}; there are {', '.join(known)}.")
    for name in wanted:
        with kept_as(name) if keep else contextlib.nullcontext():
            importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
