"""Mutation run: `python -m tools.mutants [--all] [--sample N] [--seed S] [--processes P] [NAME ...]` (`make mutants`).

mutmut changes the code one expression at a time, and the tests that reach the changed function run on the change. A
change that no test notices is a survivor: either it is equivalent to the original, which `tools/mutants.toml` then says
with the reason, or a test is missing. The exit status is 1 where more than the bound of that file survive.

`[tool.mutmut]` in `pyproject.toml` names the modules and the tests. Texts for readers are not changed: their catalogs
and frozen reports have tests of their own.
"""

import argparse
import ast
import fnmatch
import itertools
import os
import random
import re
import shutil
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst
from mutmut import __main__ as program
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.mutators import mutation_operators, operator_arg_removal, operator_string
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

_ROOT = Path(__file__).parents[1]
_SETTINGS = _ROOT / "tools" / "mutants.toml"
_NOTICED = {"killed", "timeout", "segfault"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """A change that no test noticed."""

    name: str
    place: str
    function: str
    before: str
    after: str
    status: str


def main(arguments: Sequence[str]) -> int:
    """Run a sample of the mutants, or all, print the survivors, and return the exit status."""
    asked = _asked(arguments)
    settings = tomllib.loads(_SETTINGS.read_text(encoding="utf-8"))
    os.chdir(_ROOT)
    shutil.rmtree("mutants", ignore_errors=True)
    _set_up(settings["seconds"])
    found = _generated(asked.processes)
    apart = {each["function"] for each in settings["unmeasured"]}
    measured = [name for name in found if _function(name) not in apart]
    chosen = _chosen(measured, asked.names, None if asked.all else asked.sample or settings["sample"], asked.seed)
    print(f"{len(chosen)} of {len(measured)} mutants, seed {asked.seed}", flush=True)
    program._run(chosen, asked.processes)
    return _report(chosen, settings)


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.mutants")
    parser.add_argument("names", nargs="*", help="patterns of mutants, such as 'cqox.resilience.circuit.*'")
    parser.add_argument("--all", action="store_true", help="every mutant, no sample")
    parser.add_argument("--sample", type=int, help="mutants of each module, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args(arguments)


def _set_up(seconds: float) -> None:
    """Change words but no sentences, and run the fastest tests first, for as long as the settings say."""
    others = {operator_string: _other_word, operator_arg_removal: _other_arguments}
    mutation_operators[:] = [(node, others.get(operator, operator)) for node, operator in mutation_operators]
    in_any_order = PytestRunner._pytest_args_regular_run

    def fastest_first(runner: PytestRunner, tests: Iterable[str]) -> list[str]:
        durations = state().duration_by_test
        ordered = sorted(tests, key=lambda test: durations.get(test, 0.0))
        ends = list(itertools.accumulate(durations.get(test, 0.0) for test in ordered))
        return in_any_order(runner, ordered[: 1 + sum(end < seconds for end in ends)])

    PytestRunner._pytest_args_regular_run = fastest_first


def _other_word(node: libcst.BaseString) -> Iterator[libcst.BaseString]:
    if isinstance(node, libcst.SimpleString) and re.fullmatch(r"\w+", node.raw_value):
        yield node.with_changes(value=f'"{node.raw_value}_"')


def _other_arguments(node: libcst.Call) -> Iterable[libcst.Call]:
    # The arguments of a cast are for type checkers.
    is_cast = isinstance(node.func, libcst.Name) and node.func.value == "cast"
    return () if is_cast else operator_arg_removal(node)


def _generated(processes: int) -> list[str]:
    """Write the changed modules to `mutants` and return the names of all mutants."""
    Path("mutants").mkdir()
    copy_src_dir()
    copy_also_copy_files()
    program.create_mutants(processes)
    return [name for _, name, _ in program.collect_source_file_mutation_data(mutant_names=())[0]]


def _chosen(found: Sequence[str], patterns: Sequence[str], sample: int | None, seed: int) -> list[str]:
    """Return the mutants that match a pattern; where a sample is asked for, so many of each module."""
    matching = [name for name in found if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    modules: dict[str, list[str]] = {}
    for name in sorted(matching):
        modules.setdefault(name.rpartition(".")[0], []).append(name)
    drawn = random.Random(seed)
    return [
        name
        for names in modules.values()
        for name in (names if sample is None or len(names) <= sample else sorted(drawn.sample(names, sample)))
    ]


def _report(chosen: Sequence[str], settings: dict[str, Any]) -> int:
    listed = set(chosen)
    codes = {name: code for _, name, code in program.collect_source_file_mutation_data(mutant_names=())[0]}
    statuses = {name: status_by_exit_code[codes[name]] for name in listed}
    known = {(each["function"], each["before"], each["after"]) for each in settings["equivalent"]}
    survivors = [_survivor(name, status) for name, status in sorted(statuses.items()) if status not in _NOTICED]
    missing = [each for each in survivors if (each.function, each.before, each.after) not in known]
    for each in missing:
        print(f"{each.place} {each.status}: {each.name}\n  - {each.before}\n  + {each.after}")
    counted = len(listed) - (len(survivors) - len(missing))
    score = 100 * (1 - len(missing) / max(counted, 1))
    print("Statuses:", ", ".join(f"{status} {count}" for status, count in sorted(Counter(statuses.values()).items())))
    print(
        f"{len(survivors) - len(missing)} equivalent, {len(missing)} survivors of {counted}: {score:.1f}% noticed",
        end="",
    )
    print(f" (the bound is {settings['noticed']}%)")
    return int(score < settings["noticed"])


def _survivor(name: str, status: str) -> Survivor:
    module = name.rpartition(".")[0]
    path = Path(module.replace(".", "/") + ".py")
    path = path if path.exists() else Path(module.replace(".", "/")) / "__init__.py"
    function, owner = orig_function_and_class_names_from_key(name)
    diff = get_diff_for_mutant(name, path=path).splitlines()
    before, after = (
        " ".join(line[1:].strip() for line in diff if line.startswith(sign) and not line.startswith(sign * 3))
        for sign in "-+"
    )
    first = next((line[1:].strip() for line in diff if line.startswith("-") and not line.startswith("---")), "")
    return Survivor(
        name=name,
        place=f"{path}:{_line(path, owner, function, first)}",
        function=_function(name),
        before=before,
        after=after,
        status=status,
    )


def _function(name: str) -> str:
    return orig_function_and_class_names_from_key(name)[0]


def _line(path: Path, owner: str | None, function: str, text: str) -> int:
    """Return the first line of a function that has this text; the function's own where none has."""
    source = path.read_text(encoding="utf-8")
    tree: ast.AST = ast.parse(source)
    if owner is not None:
        tree = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == owner)
    inside = next(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
    )
    lines = source.splitlines()
    numbers = range(inside.lineno, (inside.end_lineno or inside.lineno) + 1)
    return next((number for number in numbers if lines[number - 1].strip() == text), inside.lineno)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
