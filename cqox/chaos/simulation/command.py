"""`python -m cqox.chaos simulate`: run seeds, say what they show, and shrink the first that fail."""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import NoReturn, cast

from cqox.chaos.simulation.ledger import Ledger, LedgerMismatch
from cqox.chaos.simulation.mutants import Mutant, apply_mutant, read_mutants
from cqox.chaos.simulation.runner import Outcome, Task, run_all, shrink
from cqox.chaos.simulation.system import System

__all__ = ["add_arguments", "parse_seeds", "run"]

_SYSTEM = "services.simulation.system:system"
_FOLDER = Path("build/simulation")
_USAGE, _VIOLATED = 2, 1
_LEAST_MINUTES = 3.0
_MOST_SEEDS = 1_000_000
_MOST_SHRUNK = 3
_SAID_EVERY_SECONDS = 10.0


def parse_seeds(text: str) -> list[int]:
    """Return the seeds that a text such as `7`, `0-99` or `1,5,10-20` names, in order.

    Raises:
        ValueError: it names none, or too many.
    """
    found = list[int]()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"{part.strip()!r} is no seed: seeds are whole numbers such as 7, or ranges such as 0-99")
        begin, end = int(first), int(last) if dash else int(first)
        if end < begin or end - begin >= _MOST_SEEDS:
            raise ValueError(f"{part.strip()!r} is no range of up to {_MOST_SEEDS:,} seeds")
        found += range(begin, end + 1)
    return list(dict.fromkeys(found))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--seeds", default="0-9", help="seeds such as 7, 0-99 or 1,5,10-20 (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=4.0, help="simulated minutes of each (default: %(default)s)")
    parser.add_argument("-j", "--jobs", type=int, default=os.process_cpu_count() or 1, help="processes at once")
    parser.add_argument("--ledger", type=Path, help="file of what is done; the same command resumes")
    parser.add_argument(
        "--faults", help="only these faults of the seed, by number, such as 3,5; none for an empty text"
    )
    parser.add_argument("--events", type=int, default=50, help="last events to print of a seed that fails")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for fewer faults that fail as well")
    parser.add_argument("--first", action="store_true", help="end with the first seed that fails")
    parser.add_argument("--twice", action="store_true", help="run each seed twice; two digests are a failure")
    parser.add_argument("--quiet", action="store_true", help="print no digests")
    parser.add_argument("--mutants", type=Path, help="file of planted defects; each must be caught by its seeds")
    parser.add_argument("--mutant", help="plant this defect of the file first")
    parser.add_argument("--system", default=_SYSTEM, help="what is simulated, as module:name (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where prepared files are kept")


def run(given: argparse.Namespace) -> int:
    """Run the seeds, and return 0 if nothing was violated, 1 if something was, 2 for arguments that cannot be used."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets must not depend on the process.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    try:
        seeds, only = parse_seeds(given.seeds), _numbers(given.faults)
        if given.minutes < _LEAST_MINUTES:
            raise ValueError(f"a run lasts at least {_LEAST_MINUTES:g} minutes, not {given.minutes:g}")
        if given.jobs < 1:
            raise ValueError(f"at least one process must run, not {given.jobs}")
        mutants = read_mutants(given.mutants) if given.mutants else {}
        if given.mutant and given.mutant not in mutants:
            raise ValueError(f"there is no mutant {given.mutant!r} in {given.mutants}: {', '.join(mutants)}")
        if given.mutant:
            apply_mutant(mutants[given.mutant])
        elif mutants:
            return _try_mutants(list(mutants.values()), given)
        system = _load(given.system)
        system.prepare(given.folder)
        ledger = None
        if given.ledger:
            ledger = Ledger(given.ledger, system=system.name, minutes=given.minutes, code=_code_digest())
    except (ValueError, LedgerMismatch, OSError) as error:
        _refuse(str(error))
    return _run_seeds(system, seeds, only, ledger, given)


def _run_seeds(
    system: System,
    seeds: Sequence[int],
    only: tuple[int, ...] | None,
    ledger: Ledger | None,
    given: argparse.Namespace,
) -> int:
    done = {} if ledger is None else ledger.done
    tasks = [Task(seed=seed, minutes=given.minutes, only=only, kept=given.events) for seed in seeds if seed not in done]
    if done:
        _say(f"{len(seeds) - len(tasks)} of {len(seeds)} seeds are in the ledger already")
    failed = [outcome for outcome in done.values() if outcome.seed in set(seeds) and not outcome.is_clean]
    began, said, count, cpu_seconds = time.monotonic(), time.monotonic(), 0, 0.0
    digests = dict[int, str]()
    outcomes = run_all(system, tasks, jobs=given.jobs)
    for outcome in outcomes:
        count, cpu_seconds = count + 1, cpu_seconds + outcome.cpu_seconds
        digests[outcome.seed] = outcome.digest
        if ledger is not None:
            ledger.add(outcome)
        if not outcome.is_clean:
            failed.append(outcome)
            _say(f"seed {outcome.seed}: {outcome.digest or '-'} VIOLATED: {outcome.violations[0]}")
            if given.first:
                break
        elif not given.quiet:
            _say(f"seed {outcome.seed}: {outcome.digest} {outcome.events} events, {outcome.cpu_seconds:.1f} CPU s")
        if given.quiet and time.monotonic() - said > _SAID_EVERY_SECONDS:
            said = time.monotonic()
            _say(f"{count} of {len(tasks)} seeds, {len(failed)} failed, {said - began:.0f} s")
    outcomes.close()
    if given.twice:
        failed += _repeated(system, tasks, digests, given)
    for outcome in failed[:_MOST_SHRUNK]:
        _explain(system, outcome, given, only)
    minutes = count * given.minutes
    pace = f", {minutes / cpu_seconds:.1f} simulated minutes per CPU second" if cpu_seconds else ""
    _say(
        f"{count} seeds of {given.minutes:g} minutes in {cpu_seconds / 3600:.2f} CPU hours{pace}; {len(failed)} failed"
    )
    return _VIOLATED if failed else 0


def _repeated(
    system: System, tasks: Sequence[Task], digests: Mapping[int, str], given: argparse.Namespace
) -> list[Outcome]:
    """Run the seeds again, and return those that took another course, each with that as its violation."""
    found = list[Outcome]()
    for outcome in run_all(system, tasks, jobs=given.jobs):
        if outcome.digest != digests[outcome.seed]:
            said = f"its digest was {digests[outcome.seed]}, and is {outcome.digest}"
            _say(f"seed {outcome.seed} is not repeatable: {said}")
            found.append(replace(outcome, violations=(*outcome.violations, f"not repeatable: {said}")))
    _say(f"{len(tasks) - len(found)} of {len(tasks)} seeds took the same course twice")
    return found


def _explain(system: System, outcome: Outcome, given: argparse.Namespace, only: tuple[int, ...] | None) -> None:
    """Print what a failed seed has shown, and how to see it again with as few faults as possible."""
    again = f"python -m cqox.chaos simulate --seeds {outcome.seed} --minutes {given.minutes:g}"
    if given.system != _SYSTEM:
        again += f" --system {given.system}"
    if given.mutant:
        again += f" --mutants {given.mutants} --mutant {given.mutant}"
    _say(f"\n== seed {outcome.seed} ==")
    for violation in outcome.violations:
        _say(f"violated: {violation}")
    for line in outcome.last:
        _say(f"    {line}")
    if only is not None:
        again += f" --faults {','.join(map(str, only))}"
    elif not given.no_shrink and outcome.faults and not outcome.violations[-1].startswith("not repeatable"):
        left, shrunk = shrink(system, outcome, jobs=given.jobs)
        _say(f"still violated with {len(left)} of {len(outcome.faults)} faults: {shrunk.violations[0]}")
        for sentence in shrunk.faults:
            _say(f"    {sentence}")
        again += f" --faults {','.join(map(str, left))}" if left else " --faults ''"
    _say(f"again: {again}")


def _try_mutants(mutants: Sequence[Mutant], given: argparse.Namespace) -> int:
    """Run each mutant with its seeds, in processes of their own; return 0 if each is caught."""
    from cqox.chaos.simulation.mutants import survivors

    survived = survivors(mutants, given.mutants, jobs=given.jobs, system=given.system, folder=given.folder, say=_say)
    _say(f"{len(mutants) - len(survived)} of {len(mutants)} planted defects caught")
    return _VIOLATED if survived else 0


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    return tuple(parse_seeds(text)) if text.strip() else ()


def _load(name: str) -> System:
    module, _, attribute = name.partition(":")
    try:
        made = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"the system {name!r} cannot be loaded ({error}); name it as module:name") from error
    return cast("System", made())


def _code_digest() -> str:
    """Return a digest of the packages that are loaded from the same place as this one."""
    root, found = Path(__file__).parents[3], blake2b(digest_size=8)
    for path in sorted(path for name in ("cqox", "services") for path in (root / name).rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _refuse(text: str) -> NoReturn:
    sys.stderr.write(f"simulate: {text}\n")
    raise SystemExit(_USAGE)
