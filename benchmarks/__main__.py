"""`python -m benchmarks`: every benchmark of this folder, or the ones that are named."""

import importlib
import os
import pkgutil
import sys
from pathlib import Path

# One thread of BLAS for everybody, and before anything loads it: its own threads cost more than they give at this size.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def main() -> None:
    """Run them one after the other; each prints its own table."""
    known = sorted(
        module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name[0] != "_"
    )
    wanted = sys.argv[1:] or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"No benchmark {', '.join(unknown)}; there are {', '.join(known)}.")
    for name in wanted:
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
