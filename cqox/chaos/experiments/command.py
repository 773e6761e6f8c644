"""The command `python -m cqox.chaos experiments`: check, list and run experiments, and write the report."""

import argparse
import importlib
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import trio

from cqox.chaos.experiments.experiment import Experiment
from cqox.chaos.experiments.reading import ExperimentInvalid, read_experiments
from cqox.chaos.experiments.report import write_report
from cqox.chaos.experiments.runner import Outcome, run_experiment
from cqox.chaos.experiments.system import Opener
from cqox.chaos.rendering.command import add_render_arguments, render
from cqox.errors import CqoxError

__all__ = ["add_arguments", "run"]

_FOLDER = Path("deploy/chaos/experiments")
_REPORT = Path("build/chaos")
_SYSTEM = "tests.chaos.system:open_system"
_HELD, _FAILED, _USAGE, _STOPPED = 0, 1, 2, 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, about in (
        ("run", "run experiments on processes that this command starts"),
        ("list", "list the experiments"),
        ("check", "read every file and say what is wrong in it"),
        ("render", "write the experiments for Chaos Mesh and Chaos Toolkit"),
    ):
        action = actions.add_parser(name, help=about, description=about[:1].upper() + about[1:] + ".")
        action.add_argument("--folder", type=Path, default=_FOLDER, help="files of experiments (default: %(default)s)")
        if name == "render":
            add_render_arguments(action)
        if name != "run":
            continue
        action.add_argument("names", nargs="*", metavar="NAME", help="experiments to run; all of them by default")
        action.add_argument(
            "--system",
            default=_SYSTEM,
            metavar="MODULE:FUNCTION",
            help="how the system is started (default: %(default)s, that of a checkout of CQOx)",
        )
        action.add_argument("--report", type=Path, default=_REPORT, help="folder of the report (default: %(default)s)")
        action.add_argument("--seed", type=int, default=0, help="decides the order of requests (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 where all is well; 1 where an experiment failed or could not run; 2 for a file or an argument that is wrong;
        130 after Ctrl-C.
    """
    try:
        experiments = read_experiments(arguments.folder)
    except ExperimentInvalid as invalid:
        return _complain(str(invalid))
    if arguments.action == "check":
        _say(f"{len(experiments)} experiments, all of them well formed.")
        return _HELD
    if arguments.action == "render":
        try:
            _say(render(experiments, arguments))
        except (CqoxError, OSError) as error:
            return _complain(str(error))
        return _HELD
    if arguments.action == "list":
        width = max(len(each.name) for each in experiments)
        for each in experiments:
            _say(f"{each.name:<{width}}  {each.title.en}")
        return _HELD
    unknown = sorted(set(arguments.names) - {each.name for each in experiments})
    if unknown:
        return _complain(f"there is no experiment {', '.join(unknown)} in {arguments.folder}")
    try:
        open_system = _opener(arguments.system)
    except (ImportError, AttributeError, ValueError) as error:
        return _complain(f"--system {arguments.system}: {error}")
    chosen = [each for each in experiments if not arguments.names or each.name in arguments.names]
    return _run_all(chosen, open_system, arguments.report, seed=arguments.seed)


def _opener(name: str) -> Opener:
    module, colon, function = name.partition(":")
    if not colon:
        raise ValueError("expected MODULE:FUNCTION")
    # The files of a checkout are found from its root.
    sys.path.insert(0, str(Path.cwd()))
    found: Opener = getattr(importlib.import_module(module), function)
    return found


def _run_all(experiments: Sequence[Experiment], open_system: Opener, folder: Path, *, seed: int) -> int:
    outcomes: list[Outcome] = []
    stopped = False
    for number, experiment in enumerate(experiments, 1):
        _say(f"[{number}/{len(experiments)}] {experiment.name}: {experiment.title.en}")
        try:
            with tempfile.TemporaryDirectory(prefix="cqox-chaos-", ignore_cleanup_errors=True) as name:
                outcomes.append(trio.run(_one, experiment, open_system, Path(name), seed))
                _keep_logs(outcomes[-1], Path(name), folder / "logs" / experiment.name)
        except* KeyboardInterrupt:
            stopped = True
        if stopped:
            _say("stopped; what was started is ended")
            break
        _summarize(outcomes[-1])
        write_report(outcomes, folder)
    if outcomes:
        held = sum(each.held for each in outcomes)
        _say(f"{held} of {len(outcomes)} experiments held; report: {folder / 'report.html'}")
    if stopped:
        return _STOPPED
    return _HELD if all(each.held for each in outcomes) else _FAILED


def _keep_logs(outcome: Outcome, source: Path, target: Path) -> None:
    """Copy the logs of a run that did not hold, and remove those of an earlier one."""
    shutil.rmtree(target, ignore_errors=True)
    if not outcome.held:
        target.mkdir(parents=True)
        for log in source.glob("*.log"):
            shutil.copy(log, target)


async def _one(experiment: Experiment, open_system: Opener, folder: Path, seed: int) -> Outcome:
    async def stop_on_sigterm(received: AsyncIterator[int]) -> None:
        async for _ in received:
            raise KeyboardInterrupt

    # As Ctrl-C, which Trio delivers at a checkpoint; another handler could raise inside of Trio.
    with trio.open_signal_receiver(signal.SIGTERM) as received:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_on_sigterm, received)
            outcome = await run_experiment(experiment, open_system, folder, seed=seed, say=_say)
            nursery.cancel_scope.cancel()
    return outcome


def _summarize(outcome: Outcome) -> None:
    if outcome.skipped:
        _say(f"  NOT RUN: {outcome.skipped}")
        return
    for result in outcome.results:
        if not result.holds:
            _say(f"  {result.phase}: {result.probe}: {result.found}")
    for violation in outcome.violations:
        _say(f"  LOST: {violation}")
    recovery = "not well again" if outcome.recovery_seconds is None else f"well after {outcome.recovery_seconds:.1f} s"
    jobs = ", ".join(f"{number} {status}" for status, number in outcome.jobs.items()) or "none"
    word = "held" if outcome.held else "FAILED"
    _say(f"  {word}: {recovery}; {outcome.reports} reports read again, jobs: {jobs}; {outcome.duration:.0f} s")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(reason: str) -> int:
    sys.stderr.write(f"{reason}\n")
    return _USAGE
