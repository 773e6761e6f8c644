"""Planted defects: exact replacements in the code under test, each of which the simulation must catch.

A mutant that survives shows that a fault or an invariant is missing.
"""

import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType

__all__ = ["Mutant", "apply_mutant", "read_mutants", "survivors"]

_CAUGHT = 1
_OTHER_SEEDS = "0-99"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A planted defect.

    Attributes:
        name: names it.
        module: the module that it changes.
        old: text of the module, which occurs once.
        new: what stands there instead.
        seeds: seeds that catch it, as on the command line.
        minutes: simulated minutes of each.
        why: what a user would suffer.
    """

    name: str
    module: str
    old: str
    new: str
    seeds: str
    minutes: float = 4.0
    why: str = ""

    def replaced(self, source: str) -> str:
        """Return the source with the defect.

        Raises:
            ValueError: the text does not occur, or not once.
        """
        if source.count(self.old) != 1:
            raise ValueError(f"the mutant {self.name} fits {source.count(self.old)} places of {self.module}, not one")
        return source.replace(self.old, self.new)


def read_mutants(path: Path) -> Mapping[str, Mutant]:
    """Return the mutants of a TOML file by name; each is checked against its module.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such file, or a mutant does not fit.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        found = {name: Mutant(name=name, **table) for name, table in tables.items()}
    except (TypeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} has no mutants: {error}") from error
    for mutant in found.values():
        source = _source_of(mutant.module)
        if source is None:
            raise ValueError(f"the mutant {mutant.name} is of {mutant.module}, which does not exist")
        mutant.replaced(source.read_text(encoding="utf-8"))
    return found


def _source_of(module: str) -> Path | None:
    """Return the file of a module; nothing is loaded but its topmost package, since a parent may load the module."""
    top, *rest = module.split(".")
    spec = find_spec(top)
    if spec is None:
        return None
    if not rest:
        return None if spec.origin is None else Path(spec.origin)
    paths = [Path(folder).joinpath(*rest) for folder in spec.submodule_search_locations or ()]
    files = [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


class _Loader(SourceFileLoader):
    def __init__(self, mutant: Mutant, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        # Never from a cache: it holds the code without the defect.
        path = self.get_filename(fullname)
        changed = self._mutant.replaced(self.get_data(path).decode("utf-8"))
        code: CodeType = compile(changed, path, "exec", dont_inherit=True)
        return code


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(self._mutant, fullname, spec.origin)
        return spec


def apply_mutant(mutant: Mutant) -> None:
    """Plant the defect in this process, before its module is loaded.

    Raises:
        ValueError: the module is loaded already.
    """
    if mutant.module in sys.modules:
        raise ValueError(f"{mutant.module} is loaded already, so that the mutant {mutant.name} would have no effect")
    sys.meta_path.insert(0, _Finder(mutant))


def survivors(
    mutants: Sequence[Mutant],
    path: Path,
    *,
    jobs: int,
    system: str,
    folder: Path,
    say: Callable[[str], object],
) -> list[Mutant]:
    """Run each mutant with its seeds, and return those that nothing catches.

    A change of the system may give its seeds another course: the first hundred seeds follow, up to one that catches it.

    Args:
        mutants: the mutants.
        path: their file.
        jobs: most processes at once.
        system: what is simulated, as module:name.
        folder: where prepared files are kept.
        say: called with a sentence for each.
    """

    def run(mutant: Mutant, seeds: str) -> tuple[bool, str]:
        command = [sys.executable, "-m", "cqox.chaos", "simulate", "--mutants", str(path), "--mutant", mutant.name]
        command += ["--seeds", seeds, "--minutes", f"{mutant.minutes:g}", "--system", system, "-j", "1"]
        command += ["--folder", str(folder), "--no-shrink", "--quiet", "--first"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        caught = ended.returncode == _CAUGHT
        lines = [line for line in ended.stdout.splitlines() if line.startswith(("violated: ", "== seed "))]
        said = " ".join(line.strip("= ") for line in lines[:2]) if lines and caught else ended.stderr.strip()[-500:]
        return caught, said or "nothing was violated"

    def is_caught(mutant: Mutant) -> bool:
        caught, what = run(mutant, mutant.seeds)
        if not caught:
            caught, what = run(mutant, _OTHER_SEEDS)
            what = f"not by its seeds {mutant.seeds}, but by {what}" if caught else what
        say(f"{'caught  ' if caught else 'SURVIVED'} {mutant.name}: {what}")
        return caught

    with ThreadPoolExecutor(jobs) as pool:
        return [mutant for mutant, caught in zip(mutants, pool.map(is_caught, mutants), strict=True) if not caught]
