"""One run of an experiment: system, load, steady state, faults, recovery, and the check of what was acknowledged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from cqox.chaos.experiments.experiment import Experiment, Fault, Probe
from cqox.chaos.experiments.probing import Observed, Result, evaluate, may_cut
from cqox.chaos.experiments.records import Second
from cqox.chaos.experiments.system import Health, Opener, System, SystemUnusable
from cqox.chaos.experiments.workload import DEADLINES, Workload, statuses_of

__all__ = ["Outcome", "run_experiment"]

_WATCH_SECONDS = 0.25
_QUIET_SECONDS = 3.0
"""Time for which every request has to be good for the system to count as healed."""

_PATIENCE_SECONDS = 1.5
"""A request that waits for longer counts as a failure while recovery is measured."""

_WARM_UP_REQUESTS = 6
_JOBS_SECONDS = 60.0
_ALWAYS = (Probe(kind="statuses"),)
_WATCHED = ("gateway", "engine")
_PROCESSES = ("gateway", "engine", "worker", "postgres", "redis", "openbao", "object-store", "identity-provider")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of one run of an experiment.

    Attributes:
        experiment: the experiment.
        held: whether every probe held, the system healed in time, and nothing was lost.
        skipped: why it could not run here; empty where it ran.
        results: the probes.
        violations: promises that were not kept, in sentences.
        recovery_seconds: from the end of the last fault until the system was well; None where it never was.
        faults: begin and end of the faults, in seconds of the load.
        seconds: the load and its answers in each second.
        reports: number of reports that were acknowledged and read again.
        jobs: how the acknowledged jobs ended.
        notes: what this machine did otherwise than the experiment says.
        duration: seconds of the whole run.
    """

    experiment: Experiment
    held: bool
    skipped: str = ""
    results: tuple[Result, ...] = ()
    violations: tuple[str, ...] = ()
    recovery_seconds: float | None = None
    faults: tuple[tuple[float, float], ...] = ()
    seconds: tuple[Second, ...] = ()
    reports: int = 0
    jobs: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    duration: float = 0.0


async def run_experiment(
    experiment: Experiment, open_system: Opener, folder: Path, *, seed: int = 0, say: Callable[[str], None] = print
) -> Outcome:
    """Run an experiment and return what it showed; a cancellation ends everything that was started.

    Args:
        experiment: the experiment.
        open_system: starts the system.
        folder: an empty folder for its files.
        seed: decides the order of requests.
        say: takes a line when a phase begins.
    """
    begin = trio.current_time()
    try:
        async with open_system(experiment, folder) as system:
            outcome = await _Run(experiment, system, say).run(seed)
    except* SystemUnusable as unusable:
        outcome = Outcome(experiment=experiment, held=False, skipped=str(_first(unusable)))
    except* Exception as failed:  # noqa: BLE001
        # The root of a run: what one experiment cannot do must not keep the others from being run.
        error = _first(failed)
        found = f"{type(error).__name__}: {error}"
        result = Result(phase="always", probe="run to the end", holds=False, found=found)
        outcome = Outcome(experiment=experiment, held=False, results=(result,))
    return replace(outcome, duration=trio.current_time() - begin)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Run:
    """The phases of one run."""

    def __init__(self, experiment: Experiment, system: System, say: Callable[[str], None]) -> None:
        self._experiment = experiment
        self._system = system
        self._say = say
        self._health: list[tuple[float, str, Health]] = []
        self._faults: list[tuple[float, float]] = []
        self._felt: list[float] = []
        self._results: list[Result] = []
        self._marks: dict[str, tuple[dict[str, str], dict[str, Mapping[str, str]]]] = {}

    async def run(self, seed: int) -> Outcome:
        document = (await self._system.client.get("/openapi.json")).raise_for_status().json()
        work = Workload(self._system, self._experiment.load, statuses_of(document), seed=seed)
        self._work = work
        for kind in (*("analysis",) * _WARM_UP_REQUESTS, "job"):
            await work.send(kind)
        work.records.done.clear()
        recovery: float | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work.run)
            nursery.start_soon(self._watch)
            if steady := await self._is_steady():
                await self._break()
                recovery = await self._heal()
            end = work.now()
            nursery.cancel_scope.cancel()
        if steady:
            self._say("  reads again what was acknowledged")
            await work.acknowledged.verify(self._system.client, patience=_JOBS_SECONDS)
        if recovery is None and steady:
            self._result("after", "healed", False, f"not well within {self._experiment.after.healed_within:g} s")
        acknowledged = work.acknowledged
        if steady:
            self._results += evaluate("always", _ALWAYS, self._observed("steady", 0.0, end))
        return Outcome(
            experiment=self._experiment,
            held=all(result.holds for result in self._results) and not acknowledged.violations,
            results=tuple(self._results),
            violations=tuple(acknowledged.violations),
            recovery_seconds=recovery,
            faults=tuple(self._faults),
            # The last second is not a whole one.
            seconds=tuple(work.records.by_second(end)[:-1]),
            reports=len(acknowledged.reports),
            jobs=dict(sorted(acknowledged.ends.items())),
            notes=tuple(self._system.notes),
        )

    async def _is_steady(self) -> bool:
        self._say(f"  steady state, {self._experiment.steady_state.seconds:g} s")
        self._mark("steady")
        await trio.sleep(self._experiment.steady_state.seconds)
        # What has begun is to be answered before it is judged, also where that takes until its deadline.
        end = self._work.now()
        await self._work.settle(before=end, patience=max(DEADLINES.values()) + _PATIENCE_SECONDS)
        self._results += evaluate("steady", self._experiment.steady_state.probes, self._observed("steady", 0.0, end))
        sent = self._work.records.between(0.0, end)
        if slow := sum(each.seconds > _PATIENCE_SECONDS for each in sent):
            # Recovery is judged by the same bound: on a busy machine a healthy system seems not to heal.
            note = f"{slow} of {len(sent)} requests took longer than {_PATIENCE_SECONDS:g} s before the fault."
            self._system.notes.append(note)
            self._say(f"  {note}")
        return all(result.holds for result in self._results)

    async def _break(self) -> None:
        names = ", ".join(f"{fault.kind} of {fault.target.name}" for fault in self._experiment.faults)
        self._say(f"  {names}, {self._experiment.fault_seconds:g} s")
        self._mark("during")
        async with trio.open_nursery() as nursery:
            for fault in self._experiment.faults:
                nursery.start_soon(self._one, fault)
        self._begin, self._end = min(self._felt), self._work.now()

    async def _one(self, fault: Fault) -> None:
        await trio.sleep(fault.begin)
        begin = self._work.now()
        async with self._system.broken(fault):
            self._felt.append(self._work.now())
            await trio.sleep(fault.seconds)
        self._faults.append((begin, self._work.now()))

    async def _heal(self) -> float | None:
        """Wait until the system is well; return how long that took, or None where it is not in time."""
        limit = self._experiment.after.healed_within
        self._say(f"  recovery, at most {limit:g} s")
        during = self._observed("during", self._begin, self._end)
        self._mark("after")
        found = await self._recovered(limit)
        # By now most of the requests that began during the faults are answered.
        during = replace(during, sent=self._work.records.between(self._begin, self._end))
        self._results += evaluate("during", self._experiment.during, during)
        end = self._work.now()
        self._results += evaluate("after", self._experiment.after.probes, self._observed("after", self._end, end))
        return found

    async def _recovered(self, limit: float) -> float | None:
        well_since: float | None = None
        while True:
            now = self._work.now()
            last = self._work.records.last_failure(self._end, now, _PATIENCE_SECONDS)
            good_since = self._end if last is None else last
            well_since = (well_since or now) if await self._is_well() else None
            since = max(good_since, well_since or now)
            if well_since is not None and now - since >= _QUIET_SECONDS:
                recovery = max(good_since, well_since) - self._end
                return recovery if recovery <= limit else None
            if now - self._end > limit + _QUIET_SECONDS + _PATIENCE_SECONDS:
                return None
            await trio.sleep(_WATCH_SECONDS)

    async def _is_well(self) -> bool:
        found = [each for component in _WATCHED for each in await self._system.health(component)]
        return all(each.is_well for each in found)

    async def _watch(self) -> None:
        while True:
            for component in _WATCHED:
                for each in await self._system.health(component):
                    self._health.append((self._work.now(), component, each))
            await trio.sleep(_WATCH_SECONDS)

    def _mark(self, phase: str) -> None:
        logs = {component: self._system.log(component) for component in _WATCHED}
        self._marks[phase] = (logs, self._running())

    def _running(self) -> dict[str, Mapping[str, str]]:
        return {component: dict(self._system.processes(component)) for component in _PROCESSES}

    def _observed(self, phase: str, begin: float, end: float) -> Observed:
        logs, started = self._marks[phase]
        return Observed(
            sent=self._work.records.between(begin, end),
            health={
                component: [each for when, of, each in self._health if of == component and begin <= when < end]
                for component in _WATCHED
            },
            log={component: self._system.log(component)[len(logs[component]) :] for component in _WATCHED},
            started=started,
            running=self._running(),
            may_cut=may_cut(self._experiment),
        )

    def _result(self, phase: str, probe: str, holds: bool, found: str) -> None:
        self._results.append(Result(phase=phase, probe=probe, holds=holds, found=found))
