"""Clients of the simulation: what they ask, how they behave, and what they check of each answer."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random

import trio

from cqox.chaos.simulation.process import SimulatedProcess
from services.simulation.catalog import ANALYSES, FILES, JOBS
from services.simulation.client import Answer, ConnectionLost, exchange
from services.simulation.expectations import Expectations
from services.simulation.serving import PORT
from services.simulation.site import GATEWAYS, Site

__all__ = ["Client", "Mix"]

_JSON = {"Content-Type": "application/json"}
_READ_SECONDS = 30.0
_ANALYSIS_SECONDS = 120.0
_UPLOAD_SECONDS = 150.0
_SLACK_SECONDS = 3.0
_SILENCE_SECONDS = 60.0
_POLLS = 60
_ATTEMPTS = 4

_WEIGHTS: Mapping[str, float] = {
    "analyze": 4,
    "job": 2,
    "upload": 1,
    "read": 2,
    "preview": 0.7,
    "figure": 0.7,
    "lists": 1,
    "health": 0.5,
    "follow": 1.5,
    "cancel": 0.3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How clients behave.

    Attributes:
        gap: mean seconds between two requests of one client.
        leaves: share of requests whose client leaves before the answer.
        slow: share of answers that are read slowly.
    """

    gap: float = 4.0
    leaves: float = 0.06
    slow: float = 0.05


@dataclass(slots=True)
class Client:
    """One client. It asks until the load ends.

    Attributes:
        site: what it asks.
        expected: what it and the others have been told.
        mix: how it behaves.
        draw: decides by chance.
        ends_at: when it stops, in seconds.
    """

    site: Site
    expected: Expectations
    mix: Mix
    draw: Random
    ends_at: float
    _keys: int = 0
    _open: list[str] = field(default_factory=list)

    async def run(self, process: SimulatedProcess) -> None:
        """Ask one thing after the other."""
        operations: Mapping[str, Callable[[], Awaitable[None]]] = {
            "analyze": self._analyze,
            "job": self._start_job,
            "upload": self._upload,
            "read": self._read,
            "preview": self._preview,
            "figure": self._figure,
            "lists": self._list,
            "health": self._health,
            "follow": self._follow,
            "cancel": self._cancel,
        }
        while True:
            await trio.sleep(self.draw.expovariate(1 / self.mix.gap))
            if self.site.world.now > self.ends_at:
                return
            name = self.draw.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))[0]
            self.site.world.log.add("asks", process.name, name)
            await operations[name]()

    async def ask(
        self,
        name: str,
        method: str,
        target: str,
        *,
        most: float,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        exists: bool = False,
    ) -> Answer | None:
        """Send a request and check its answer; return it if it is a success.

        Args:
            name: of the operation.
            method: of HTTP.
            target: path and query.
            most: how long the answer may take, in seconds.
            headers: further header fields.
            body: the body.
            exists: whether what is asked for was acknowledged, so that it must be there.
        """
        world, began = self.site.world, self.site.world.now
        leaves = self.draw.expovariate(1) if self.draw.random() < self.mix.leaves else float("inf")
        pause = self.draw.uniform(0.1, 3) if self.draw.random() < self.mix.slow else 0.0
        answer, lost = None, ""
        with trio.move_on_after(min(leaves, most + _SILENCE_SECONDS)) as waiting:
            try:
                answer = await exchange(GATEWAYS, PORT, method, target, headers=headers, body=body, pause=pause)
            except ConnectionLost as error:
                lost = str(error)
        seconds = world.now - began
        world.log.add("answer", name, answer.status if answer else lost or "none", f"{seconds:.4f}")
        troubled = self.site.is_troubled(began)
        if answer is None:
            if waiting.cancelled_caught and leaves == float("inf") and not troubled:
                world.violated(f"{name} {target} was not answered within {seconds:.1f} s")
            if lost and not troubled:
                world.violated(f"the answer to {name} {target} was lost without a cause: {lost}")
            return None
        allowed = float("inf") if troubled or pause else most + _SLACK_SECONDS
        told = f"{method} {target} {json.dumps(dict(headers or {}))}"
        if exists and answer.status == HTTPStatus.NOT_FOUND:
            world.violated(f"{method} {target} is not there, and it was acknowledged")
        good = self.expected.answered(name, answer, seconds=seconds, most=allowed, told=told)
        return answer if good else None

    def _asked(self, one: Mapping[str, object]) -> dict[str, object] | None:
        dataset = str(one["dataset"])
        known = self.expected.datasets.get(dataset, dataset if dataset not in FILES else "")
        if not known:
            return None
        return {"dataset_id": known, "mapping": one["mapping"], "options": one["options"]}

    def _deadline(self) -> tuple[dict[str, str], float]:
        """Return header fields that announce how long the client waits, and how long the answer may take."""
        kind = self.draw.random()
        if kind < 0.5:
            return {}, _ANALYSIS_SECONDS
        if kind < 0.6:
            return {"X-Request-Timeout-Ms": self.draw.choice(["soon", "-5", "1e3", "9" * 30])}, _ANALYSIS_SECONDS
        milliseconds = self.draw.choice([50, 500, 2000, 10_000, 10_000_000])
        return {"X-Request-Timeout-Ms": str(milliseconds)}, min(_ANALYSIS_SECONDS, milliseconds / 1000)

    async def _analyze(self) -> None:
        asked = self._asked(self.draw.choice(ANALYSES))
        if asked is None:
            return
        fields, most = self._deadline()
        if self.draw.random() < 0.3:
            fields["Idempotency-Key"] = self._new_key()
        for _ in range(self.draw.randint(1, 3)):
            answer = await self.ask(
                "analyze", "POST", "/api/analyze/comprehensive", most=most, headers=_JSON | fields, body=_body(asked)
            )
            if answer is not None:
                report = answer.json()
                assert isinstance(report, dict)
                self.expected.reported(asked, report)
                return
            await trio.sleep(self.draw.uniform(0.1, 2))

    async def _start_job(self) -> None:
        asked = self._asked(self.draw.choice(JOBS if self.draw.random() < 0.5 else ANALYSES))
        if asked is None:
            return
        key = self._new_key()
        headers, target = _JSON | {"Prefer": "respond-async", "Idempotency-Key": key}, "/api/analyze/comprehensive"
        body = _body(asked)
        for _ in range(_ATTEMPTS):
            answer = await self.ask("analyze", "POST", target, most=_ANALYSIS_SECONDS, headers=headers, body=body)
            if answer is not None:
                job = answer.json()
                assert isinstance(job, dict)
                self._open.append(self.expected.accepted(key, asked, job))
                if self.draw.random() < 0.2:
                    continue
                return
            await trio.sleep(self.draw.uniform(0.1, 5))

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

    async def look_at(self, job_id: str) -> str | None:
        """Read the state of a job; return it if it was answered."""
        # A job that has ended is deleted by the request that cancels one that runs.
        exists = not self.expected.jobs[job_id].cancelled
        answer = await self.ask("read_job", "GET", f"/api/jobs/{job_id}", most=_READ_SECONDS, exists=exists)
        if answer is None:
            return None
        job = answer.json()
        assert isinstance(job, dict)
        return self.expected.seen(job_id, job)

    async def _cancel(self) -> None:
        if not self._open:
            return
        job_id = self.draw.choice(self._open)
        self.expected.jobs[job_id].cancelled = True
        await self.ask("cancel_job", "DELETE", f"/api/jobs/{job_id}", most=_READ_SECONDS)

    async def _upload(self) -> None:
        name = self.draw.choice(list(FILES))
        answer = await self.ask(
            "upload_dataset", "POST", f"/api/datasets?name={name}", most=_UPLOAD_SECONDS, body=FILES[name]
        )
        if answer is not None:
            described = answer.json()
            assert isinstance(described, dict)
            dataset_id = str(described["dataset_id"])
            if self.expected.datasets.setdefault(name, dataset_id) != dataset_id:
                self.site.world.violated(f"the file {name} has two ids")

    async def _read(self) -> None:
        if self.expected.reports:
            await self.read_report(self.draw.choice(list(self.expected.reports)))

    async def read_report(self, analysis_id: str) -> bool:
        """Read a stored report; return whether it was answered."""
        target = f"/api/analyses/{analysis_id}"
        answer = await self.ask("read_analysis", "GET", target, most=_READ_SECONDS, exists=True)
        if answer is None:
            return False
        report = answer.json()
        assert isinstance(report, dict)
        self.expected.read(analysis_id, report)
        return True

    async def _preview(self) -> None:
        asked = self._asked(self.draw.choice(ANALYSES))
        if asked is not None:
            await self.ask(
                "preview", "POST", "/api/analyze/preview", most=_ANALYSIS_SECONDS, headers=_JSON, body=_body(asked)
            )

    async def _figure(self) -> None:
        if self.expected.reports:
            target = f"/api/analyses/{self.draw.choice(list(self.expected.reports))}/figures/forest.svg"
            await self.ask("read_figure", "GET", target, most=_READ_SECONDS, exists=True)

    async def _list(self) -> None:
        name, target = self.draw.choice(
            [("list_datasets", "/api/datasets"), ("list_analyses", "/api/analyses"), ("list_jobs", "/api/jobs")]
        )
        await self.ask(name, "GET", target, most=_READ_SECONDS)

    async def _health(self) -> None:
        name, target = self.draw.choice(
            [("health", "/api/health"), ("live", "/health/live"), ("ready", "/health/ready")]
        )
        await self.ask(name, "GET", target, most=_READ_SECONDS)

    def _new_key(self) -> str:
        self._keys += 1
        return f"{self.draw.getrandbits(64):016x}-{self._keys}"


def _body(asked: Mapping[str, object]) -> bytes:
    return json.dumps(asked).encode()
