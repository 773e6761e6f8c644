"""The phases of an experiment as requests that something else makes, one after the other, on a running system."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import trio

from cqox.chaos.experiments.experiment import Experiment
from cqox.chaos.experiments.probing import Observed, Result, evaluate, may_cut
from cqox.chaos.experiments.system import Health, System
from cqox.chaos.experiments.workload import Workload, statuses_of
from cqox.chaos.toolkit.state import Answer

__all__ = ["Session"]

_WATCH_SECONDS = 0.25
_QUIET_SECONDS = 3.0
_PATIENCE_SECONDS = 1.5
_JOBS_SECONDS = 60.0
_WARM_UP_REQUESTS = 6
_WATCHED = ("gateway", "engine")
_PROCESSES = ("gateway", "engine", "worker", "postgres", "redis", "openbao", "object-store", "identity-provider")


class Session:
    """A system under load, its faults, and what was found so far."""

    def __init__(self, experiment: Experiment, system: System) -> None:
        self._experiment = experiment
        self._system = system
        self._health: list[tuple[float, str, Health]] = []
        self._held: dict[int, trio.CancelScope] = {}
        self._mended: dict[int, trio.Event] = {}
        self._begin: float | None = None
        self._end: float | None = None
        self._marks: tuple[dict[str, str], dict[str, Mapping[str, str]]] = ({}, {})
        self._results: list[Result] = []
        self._nursery: trio.Nursery
        self._work: Workload

    async def run(self, *, seed: int = 0, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send the load and watch the system until this is cancelled; every fault is then taken away.

        Args:
            seed: decides the order of requests.
            task_status: is started once the system has answered a request of each kind.
        """
        document = (await self._system.client.get("/openapi.json")).raise_for_status().json()
        self._work = Workload(self._system, self._experiment.load, statuses_of(document), seed=seed)
        for kind in (*("analysis",) * _WARM_UP_REQUESTS, "job"):
            await self._work.send(kind)
        self._work.records.done.clear()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._work.run)
            nursery.start_soon(self._watch)
            task_status.started()

    async def answer(self, request: str) -> Answer:
        """Do what a request says, and return what was found; an unknown request does not hold."""
        word, _, number = request.strip().partition(" ")
        requests: Mapping[str, Callable[[], Awaitable[Answer]]] = {
            "steady": self._steady,
            "healed": self._healed,
            "acknowledged": self._acknowledged,
            "promises": self._promises,
        }
        if word in ("break", "mend"):
            return await self._fault(word, number)
        if number or word not in requests:
            return Answer(holds=False, lines=(f"there is no request {request.strip()!r}",))
        return await requests[word]()

    async def _steady(self) -> Answer:
        begin = self._work.now()
        self._mark()
        await trio.sleep(self._experiment.steady_state.seconds)
        # What has begun is to be answered before it is judged.
        end = self._work.now()
        await self._work.settle(before=end, patience=_PATIENCE_SECONDS)
        return _answer(evaluate("steady", self._experiment.steady_state.probes, self._observed(begin, end)))

    async def _fault(self, word: str, text: str) -> Answer:
        if word == "mend" and not text:
            for number in sorted(self._held):
                await self._mend(number)
            return Answer(holds=True, lines=("no fault is left",))
        number = int(text) if text.isdecimal() else 0
        if not 1 <= number <= len(self._experiment.faults):
            return Answer(holds=False, lines=(f"there is no fault {text!r}",))
        if (number in self._held) is (word == "break"):
            return Answer(holds=False, lines=(f"fault {number} {'has begun' if word == 'break' else 'is not there'}",))
        if word == "break":
            if self._begin is None:
                self._mark()
            await self._nursery.start(self._hold, number)
            self._begin = self._work.now() if self._begin is None else self._begin
        else:
            await self._mend(number)
        fault = self._experiment.faults[number - 1]
        return Answer(holds=True, lines=(f"{word} {number}: {fault.kind} of {fault.target.name}",))

    async def _hold(self, number: int, *, task_status: trio.TaskStatus[None]) -> None:
        self._mended[number] = trio.Event()
        try:
            with trio.CancelScope() as scope:
                async with self._system.broken(self._experiment.faults[number - 1]):
                    self._held[number] = scope
                    task_status.started()
                    await trio.sleep_forever()
        finally:
            self._held.pop(number, None)
            self._end = self._work.now()
            self._mended[number].set()

    async def _mend(self, number: int) -> None:
        self._held[number].cancel()
        await self._mended[number].wait()

    async def _healed(self) -> Answer:
        if self._begin is None or self._end is None or self._held:
            return Answer(holds=False, lines=("a fault is still there, or none ever was",))
        limit = self._experiment.after.healed_within
        # Logs and processes as they are now: what is started later belongs to the recovery.
        during = self._observed(self._begin, self._end)
        seconds = await self._recovered(self._end, limit)
        sent = self._work.records.between(self._begin, self._end)
        found = evaluate("during", self._experiment.during, replace(during, sent=sent))
        found += evaluate("after", self._experiment.after.probes, self._observed(self._end, self._work.now()))
        said = f"not well within {limit:g} s" if seconds is None else f"well after {seconds:.1f} s"
        found.append(Result(phase="after", probe="healed", holds=seconds is not None, found=said))
        self._results += found
        return _answer(found)

    async def _recovered(self, end: float, limit: float) -> float | None:
        well_since: float | None = None
        while True:
            now = self._work.now()
            last = self._work.records.last_failure(end, now, _PATIENCE_SECONDS)
            good_since = end if last is None else last
            well_since = (well_since or now) if await self._is_well() else None
            if well_since is not None and now - max(good_since, well_since) >= _QUIET_SECONDS:
                seconds = max(good_since, well_since) - end
                return seconds if seconds <= limit else None
            if now - end > limit + _QUIET_SECONDS + _PATIENCE_SECONDS:
                return None
            await trio.sleep(_WATCH_SECONDS)

    async def _acknowledged(self) -> Answer:
        await self._work.acknowledged.verify(self._system.client, patience=_JOBS_SECONDS)
        lost = self._work.acknowledged.violations
        reports, jobs = len(self._work.acknowledged.reports), sum(self._work.acknowledged.ends.values())
        found = "; ".join(lost) or f"{reports} reports and {jobs} jobs read again"
        result = Result(phase="after", probe="nothing acknowledged is lost", holds=not lost, found=found)
        self._results.append(result)
        return _answer([result])

    async def _promises(self) -> Answer:
        """Return what did not hold so far: nothing before the first fault."""
        await trio.lowlevel.checkpoint()
        return _answer([each for each in self._results if not each.holds])

    async def _is_well(self) -> bool:
        found = [each for component in _WATCHED for each in await self._system.health(component)]
        return all(each.is_well for each in found)

    async def _watch(self) -> None:
        while True:
            for component in _WATCHED:
                for each in await self._system.health(component):
                    self._health.append((self._work.now(), component, each))
            await trio.sleep(_WATCH_SECONDS)

    def _mark(self) -> None:
        logs = {component: self._system.log(component) for component in _WATCHED}
        self._marks = (logs, self._running())

    def _running(self) -> dict[str, Mapping[str, str]]:
        return {component: dict(self._system.processes(component)) for component in _PROCESSES}

    def _observed(self, begin: float, end: float) -> Observed:
        logs, started = self._marks
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


def _answer(results: Sequence[Result]) -> Answer:
    lines = tuple(f"{'holds' if each.holds else 'FAILS'}: {each.phase}: {each.probe}: {each.found}" for each in results)
    return Answer(holds=all(each.holds for each in results), lines=lines)
