"""Import of polars without its threads, which a fork would leave behind.

polars starts a thread at the end of its import, by one call of its compiled module. A template of worker processes
puts that call off, and each process that it has forked makes it for itself. A release of polars without that call is
imported as it is: what counts is whether threads run, which `other_threads` answers.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

__all__ = ["LateThreads", "other_threads"]

_COMPILED = ("_polars_runtime", "._polars_runtime")
_START = "__register_startup_deps"
_THREADS = "/proc/self/task"


def other_threads() -> list[str]:
    """Return the names of the threads of this process besides its first.

    Raises:
        OSError: this system does not list threads.
    """
    return [_name(thread) for thread in os.listdir(_THREADS) if int(thread) != os.getpid()]


def _name(thread: str) -> str:
    try:
        with open(f"{_THREADS}/{thread}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return "ended meanwhile"


class LateThreads(importlib.abc.MetaPathFinder):
    """Puts off the call by which polars starts its thread: as a finder of modules, before polars is imported."""

    def __init__(self) -> None:
        self._put_off: list[Callable[[], object]] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the compiled module of polars, and leave every other to the next finder."""
        first, last = _COMPILED
        if not (fullname.startswith(first) and fullname.endswith(last)):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        spec.loader = _Loader(spec.loader, self._put_off)
        return spec

    def start(self) -> None:
        """Make the calls that were put off, in the order of their modules."""
        while self._put_off:
            self._put_off.pop(0)()

    def install(self) -> None:
        """Become the first finder of modules of this process."""
        sys.meta_path.insert(0, self)


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, put_off: list[Callable[[], object]]) -> None:
        self._loader = loader
        self._put_off = put_off

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        start = getattr(module, _START, None)
        if start is not None:
            setattr(module, _START, lambda *given: self._put_off.append(lambda: start(*given)))
