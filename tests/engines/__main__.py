"""Estimates in every engine against rows in memory: `python -m tests.engines` writes the table in docs/engines.md."""

import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from operator import itemgetter
from pathlib import Path

from tests.engines.differences import BOUND, largest_differences
from tests.engines.opened import ENGINES, Store
from tests.engines.page import PAGE, with_table


def main(engines: Mapping[str, Callable[[Path], AbstractContextManager[Store]]] = ENGINES, page: Path = PAGE) -> int:
    """Write the table, and return 1 where an estimate is further from memory than the bound, 0 otherwise.

    An engine that is not installed, or does not start, ends the run with its error, and nothing is written.
    """
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="cqox-engines-")))
        stores = {}
        for name, tables in engines.items():
            (folder / name).mkdir()
            stores[name] = opened.enter_context(tables(folder / name))
        found = {}
        for name, store in stores.items():
            found[name] = largest_differences(store)
            estimate, difference = max(found[name].items(), key=itemgetter(1))
            size = len(found[name])
            print(f"{name}: {size} estimates, at most {difference:.1e} from memory ({estimate})", flush=True)
    page.write_text(with_table(page.read_text(encoding="utf-8"), found), encoding="utf-8")
    far = [(engine, name, each) for engine, known in found.items() for name, each in known.items() if each > BOUND]
    for engine, name, difference in far:
        print(f"{engine}: {name} is {difference:.1e} from memory, more than {BOUND:.0e}")
    return int(bool(far))


if __name__ == "__main__":
    sys.exit(main())
