"""Clients of the simulation: what they ask one after the other, and how they behave."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import trio

from cqox.chaos.simulation.process import SimulatedProcess
from services.simulation.asking import ANALYSIS_SECONDS, ANALYZE, JSON, READ_SECONDS, Asking, Mix
from services.simulation.catalog import ANALYSES, FILES, JOBS
from services.simulation.expectations import Expectations
from services.simulation.own_data import OwnData

__all__ = ["Client", "Mix"]

_POLLS = 60
_ATTEMPTS = 4

_WEIGHTS: Mapping[str, float] = {
    "analyze": 4,
    "analyze by events": 0.7,
    "job": 2,
    "job without key": 0.5,
    "key again": 0.3,
    "upload": 1,
    "read": 2,
    "preview": 0.7,
    "figure": 0.7,
    "lists": 1,
    "health": 0.5,
    "follow": 1.5,
    "events": 0.5,
    "cancel": 0.3,
    "delete job": 0.3,
    "own data": 1.2,
    "others": 0.5,
}


@dataclass(slots=True)
class Client(Asking):
    """One client. It asks until the load ends.

    Attributes:
        ends_at: when it stops, in seconds.
        own: the data set that it alone has.
        others: what was acknowledged to the other tenants.
    """

    ends_at: float
    own: OwnData
    others: tuple[Expectations, ...] = ()
    _keys: int = 0
    _open: list[str] = field(default_factory=list)

    async def run(self, process: SimulatedProcess) -> None:
        """Ask one thing after the other."""
        operations: Mapping[str, Callable[[], Awaitable[None]]] = {
            "analyze": self._analyze,
            "analyze by events": self._analyze_by_events,
            "job": self._start_job,
            "job without key": self._start_job_without_key,
            "key again": self._use_key_again,
            "upload": self._upload,
            "read": self._read,
            "preview": self._preview,
            "figure": self._figure,
            "lists": self._list,
            "health": self._health,
            "follow": self._follow,
            "events": self._follow_events,
            "cancel": self._cancel,
            "delete job": self._delete_job,
            "own data": self._use_own_data,
            "others": self._look_for_others,
        }
        while True:
            await trio.sleep(self.draw.expovariate(1 / self.mix.gap))
            if self.site.world.now > self.ends_at:
                return
            name = self.draw.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))[0]
            self.site.world.log.add("asks", process.name, name)
            await operations[name]()

    def _deadline(self) -> tuple[dict[str, str], float]:
        """Return header fields that announce how long the client waits, and how long the answer may take."""
        kind = self.draw.random()
        if kind < 0.5:
            return {}, ANALYSIS_SECONDS
        if kind < 0.6:
            return {"X-Request-Timeout-Ms": self.draw.choice(["soon", "-5", "1e3", "9" * 30])}, ANALYSIS_SECONDS
        milliseconds = round(1000 * self.draw.choice([0.05, 0.5, 2, 10, 10_000]))
        return {"X-Request-Timeout-Ms": str(milliseconds)}, min(ANALYSIS_SECONDS, milliseconds / 1000)

    async def _analyze(self) -> None:
        asked = self.asked(self.draw.choice(ANALYSES))
        if asked is None:
            return
        fields, most = self._deadline()
        if self.draw.random() < 0.3:
            fields["Idempotency-Key"] = self._new_key()
        for _ in range(self.draw.randint(1, 3)):
            if await self.analyze(asked, most=most, fields=fields):
                return
            await trio.sleep(self.draw.uniform(0.1, 2))

    async def _analyze_by_events(self) -> None:
        asked = self.asked(self.draw.choice(ANALYSES))
        if asked is not None:
            await self.analyze_by_events(asked)

    async def _start_job(self) -> None:
        asked = self.asked(self.draw.choice(JOBS if self.draw.random() < 0.5 else ANALYSES))
        if asked is None:
            return
        key = self._new_key()
        for _ in range(_ATTEMPTS):
            if await self._post_job(asked, key):
                if self.draw.random() < 0.2:
                    continue
                return
            await trio.sleep(self.draw.uniform(0.1, 5))

    async def _start_job_without_key(self) -> None:
        asked = self.asked(self.draw.choice(JOBS))
        if asked is not None:
            await self._post_job(asked, "")

    async def _post_job(self, asked: Mapping[str, object], key: str) -> bool:
        job_id = await self.start_job(asked, key)
        if job_id is not None and job_id not in self._open:
            self._open.append(job_id)
        return job_id is not None

    async def _use_key_again(self) -> None:
        key, (asked, other) = self._new_key(), (self.asked(each) for each in self.draw.sample(ANALYSES, 2))
        if asked is None or other is None:
            return
        began = self.site.world.now
        if await self.analyze(asked, most=ANALYSIS_SECONDS, fields={"Idempotency-Key": key}):
            answer = await self.ask(
                "analyze",
                "POST",
                ANALYZE,
                most=ANALYSIS_SECONDS,
                headers={**JSON, "Idempotency-Key": key},
                body=json.dumps(other).encode(),
            )
            # Engines without a common cache know their own keys alone, and one that was started again knows none.
            is_shared = len(self.site.engines) == 1 or self.site.servers is not None
            if answer is not None and is_shared and not self.site.has_faults(began):
                self.expected.reused(key)

    async def _follow(self) -> None:
        if not self._open:
            return
        job_id = self.draw.choice(self._open)
        for _ in range(_POLLS):
            state = await self.look_at(job_id)
            if state is not None and self.expected.is_final(state):
                self._open.remove(job_id)
                return
            if self.site.world.now > self.ends_at:
                return
            await trio.sleep(self.draw.uniform(0.5, 4))

    async def _follow_events(self) -> None:
        if self._open:
            await self.follow_events(self.draw.choice(self._open))

    async def _cancel(self) -> None:
        if not self._open:
            return
        job_id = self.draw.choice(self._open)
        self.expected.cancel(job_id)
        await self.ask("cancel_job", "DELETE", f"/api/jobs/{job_id}", most=READ_SECONDS)

    async def _delete_job(self) -> None:
        ended = [each for each in self.expected.jobs.values() if self.expected.is_final(each.state)]
        if not ended:
            return
        promise = self.draw.choice(ended)
        if promise.state == "interrupted":
            # The same key may start it again.
            return
        target = f"/api/jobs/{promise.job_id}"
        self.expected.cancel(promise.job_id)
        if await self.ask("cancel_job", "DELETE", target, most=READ_SECONDS) is not None:
            self.expected.jobs.pop(promise.job_id, None)
            self.expected.removed[target] = "read_job"
            if promise.job_id in self._open:
                self._open.remove(promise.job_id)

    async def _upload(self) -> None:
        name = self.draw.choice(self.tenant.files)
        await self.upload(name, FILES[name])

    async def _read(self) -> None:
        if self.expected.reports:
            await self.read_report(self.draw.choice(list(self.expected.reports)))

    async def _preview(self) -> None:
        asked = self.asked(self.draw.choice(ANALYSES))
        if asked is not None:
            await self.preview(asked)

    async def _figure(self) -> None:
        if self.expected.reports:
            await self.read_figure(self.draw.choice(list(self.expected.reports)))

    async def _list(self) -> None:
        name, target = self.draw.choice(
            [("list_datasets", "/api/datasets"), ("list_analyses", "/api/analyses"), ("list_jobs", "/api/jobs")]
        )
        await self.ask(name, "GET", target, most=READ_SECONDS)

    async def _health(self) -> None:
        name, target = self.draw.choice(
            [("health", "/api/health"), ("live", "/health/live"), ("ready", "/health/ready")]
        )
        await self.ask(name, "GET", target, most=READ_SECONDS)

    async def _use_own_data(self) -> None:
        await self.own.use(self)

    async def _look_for_others(self) -> None:
        found = [path for other in self.others for path in other.secrets()]
        if found:
            name, target = self.draw.choice(found)
            await self.ask(name, "GET", target, most=READ_SECONDS, gone=True)

    def _new_key(self) -> str:
        self._keys += 1
        return f"{self.draw.getrandbits(64):016x}-{self._keys}"
