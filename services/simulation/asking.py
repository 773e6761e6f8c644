"""One request of a client of the simulation, and what is checked of each answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random

import trio

from services.simulation.client import Answer, ConnectionLost, exchange
from services.simulation.expectations import Expectations
from services.simulation.serving import PORT
from services.simulation.site import GATEWAYS, Site
from services.simulation.tenants import Tenant

__all__ = [
    "ANALYSIS_SECONDS",
    "ANALYZE",
    "JSON",
    "READ_SECONDS",
    "UPLOAD_SECONDS",
    "Asking",
    "Mix",
    "events_of",
]

JSON: Mapping[str, str] = {"Content-Type": "application/json"}
"""Header fields of a request with a body of JSON."""
ANALYZE = "/api/analyze/comprehensive"
"""Path of analyses."""
READ_SECONDS = 30.0
"""Most seconds of an answer that needs no analysis."""
ANALYSIS_SECONDS = 120.0
"""Most seconds of an analysis."""
UPLOAD_SECONDS = 150.0
"""Most seconds of an upload."""

_SLACK_SECONDS = 1.0
_SILENCE_SECONDS = 60.0
_EVENTS_SECONDS = 300.0
_NEWEST = 2 * 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """The behaviour of clients.

    Attributes:
        gap: mean seconds between two requests of one client.
        leaves: share of requests whose client leaves before the answer.
        slow: share of answers that are read slowly.
    """

    gap: float = 4.0
    leaves: float = 0.06
    slow: float = 0.05


@dataclass(slots=True)
class Asking:
    """A client that asks one thing at a time.

    Attributes:
        site: what it asks.
        tenant: whose client it is.
        mix: how it behaves.
        draw: decides by chance.
        gateway: host that it connects to; any gateway by default.
    """

    site: Site
    tenant: Tenant
    mix: Mix
    draw: Random
    gateway: str = field(default=GATEWAYS, kw_only=True)

    @property
    def expected(self) -> Expectations:
        """Expectations of the clients of the tenant."""
        return self.tenant.expected

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
        gone: bool = False,
        may_break: bool = False,
    ) -> Answer | None:
        """Send a request and check its answer; return it if it is a success.

        Args:
            name: of the operation.
            method: of HTTP.
            target: path and query.
            most: how long the answer may take, in seconds.
            headers: further header fields.
            body: the body.
            exists: whether what is asked for was acknowledged, so that it must be there unless somebody asks to delete
                it meanwhile.
            gone: whether what is asked for was deleted or is another tenant's, so that it must not be there.
            may_break: whether the answer is a stream, which ends with the engine that sends it.
        """
        world, began = self.site.world, self.site.world.now
        withdrawals = self.expected.withdrawals
        leaves = self.draw.expovariate(1) if self.draw.random() < self.mix.leaves else float("inf")
        pause = self.draw.uniform(0.1, 3) if self.draw.random() < self.mix.slow else 0.0
        answer, lost = None, ""
        sent = {"Host": GATEWAYS, **(headers or {})}
        if self.tenant.key:
            sent["Authorization"] = f"Bearer {self.tenant.key}"
        with trio.move_on_after(min(leaves, most + _SILENCE_SECONDS)) as waiting:
            try:
                answer = await exchange(self.gateway, PORT, method, target, headers=sent, body=body, pause=pause)
            except ConnectionLost as error:
                lost = str(error)
        seconds = world.now - began
        world.log.add("answer", name, answer.status if answer else lost or "none", f"{seconds:.4f}")
        troubled = self.site.is_troubled(began)
        if answer is None:
            if waiting.cancelled_caught and leaves == float("inf") and not troubled:
                world.violated(f"{name} {target} was not answered within {seconds:.1f} s")
            if lost and not troubled and not may_break:
                world.violated(f"the answer to {name} {target} was lost without a cause: {lost}")
            return None
        allowed = float("inf") if troubled or pause else most + _SLACK_SECONDS
        request = f"{method} {target} {json.dumps(dict(headers or {}))}"
        if exists and answer.status == HTTPStatus.NOT_FOUND and withdrawals == self.expected.withdrawals:
            world.violated(f"{method} {target} is not there, and it was acknowledged")
        good = self.expected.answered(name, answer, seconds=seconds, most=allowed, sent=request)
        if good and gone:
            world.violated(f"{method} {target} is there for {self.tenant.name or 'all'}, and must not be")
        self.expected.explained(name, answer, self.site, began, request)
        return answer if good else None

    def asked(self, one: Mapping[str, object]) -> dict[str, object] | None:
        """Return the request of an analysis of the catalog; None where its file is not known to be uploaded."""
        dataset = str(one["dataset"])
        known = self.expected.datasets.get(dataset, "" if dataset.endswith(".csv") else dataset)
        if not known:
            return None
        return {"dataset_id": known, "mapping": one["mapping"], "options": one["options"]}

    async def look_at(self, job_id: str) -> str | None:
        """Read the state of a job; return it if it was answered."""
        # A job that has ended is deleted by the request that cancels one that runs.
        exists = not self.expected.jobs[job_id].cancelled
        answer = await self.ask("read_job", "GET", f"/api/jobs/{job_id}", most=READ_SECONDS, exists=exists)
        if answer is None:
            return None
        job = answer.json()
        assert isinstance(job, dict)
        return self.expected.seen(job_id, job)

    async def read_report(self, analysis_id: str) -> bool:
        """Read a stored report; return whether it was answered."""
        target = f"/api/analyses/{analysis_id}"
        exists = self.expected.is_promised(analysis_id)
        answer = await self.ask("read_analysis", "GET", target, most=READ_SECONDS, exists=exists)
        if answer is None:
            return False
        report = answer.json()
        assert isinstance(report, dict)
        self.expected.read(analysis_id, report)
        return True

    async def upload(self, name: str, content: bytes) -> bool:
        """Upload a file; return whether it was acknowledged."""
        answer = await self.ask(
            "upload_dataset", "POST", f"/api/datasets?name={name}", most=UPLOAD_SECONDS, body=content
        )
        if answer is not None:
            described = answer.json()
            assert isinstance(described, dict)
            self.expected.uploaded(name, described)
        return answer is not None

    async def analyze(self, asked: Mapping[str, object], *, most: float, fields: Mapping[str, str]) -> bool:
        """Ask for an analysis; return whether its report was answered."""
        answer = await self.ask(
            "analyze", "POST", ANALYZE, most=most, headers={**JSON, **fields}, body=json.dumps(asked).encode()
        )
        if answer is None:
            return False
        report = answer.json()
        assert isinstance(report, dict)
        self.expected.reported(asked, report)
        return True

    async def preview(self, asked: Mapping[str, object]) -> bool:
        """Ask for the preview of an analysis; return whether it was answered."""
        target, body = "/api/analyze/preview", json.dumps(asked).encode()
        return await self.ask("preview", "POST", target, most=ANALYSIS_SECONDS, headers=JSON, body=body) is not None

    async def read_figure(self, analysis_id: str) -> bool:
        """Read a figure of a report; return whether it was answered."""
        target, exists = f"/api/analyses/{analysis_id}/figures/forest.svg", self.expected.is_promised(analysis_id)
        return await self.ask("read_figure", "GET", target, most=READ_SECONDS, exists=exists) is not None

    async def start_job(self, asked: Mapping[str, object], key: str) -> str | None:
        """Ask for an analysis in the background; return the id of the job, None where it was not acknowledged."""
        headers = {**JSON, "Prefer": "respond-async"} | ({"Idempotency-Key": key} if key else {})
        self.expected.jobs_asked_for += 1
        body = json.dumps(asked).encode()
        answer = await self.ask("analyze", "POST", ANALYZE, most=ANALYSIS_SECONDS, headers=headers, body=body)
        if answer is None:
            return None
        self.expected.jobs_asked_for -= 1
        job = answer.json()
        assert isinstance(job, dict)
        return self.expected.accepted(key, asked, job)

    async def analyze_by_events(self, asked: Mapping[str, object]) -> bool:
        """Ask for an analysis whose steps are sent as events; return whether its report was among them."""
        headers = {**JSON, "Accept": "text/event-stream"}
        body, most = json.dumps(asked).encode(), ANALYSIS_SECONDS
        answer = await self.ask("analyze", "POST", ANALYZE, most=most, headers=headers, body=body, may_break=True)
        if answer is None:
            return False
        events = events_of(answer.body)
        reports = [body for event, body in events if event == "report"]
        for report in reports:
            self.expected.reported(asked, report)
        if not reports and not any(event in ("failed", "cancelled", "interrupted") for event, _ in events):
            self.site.world.violated(f"an event stream of {asked['dataset_id']} ends with {events[-1:]}")
        return bool(reports)

    async def follow_events(self, job_id: str) -> str | None:
        """Follow a job by its events until the last one; return its state, None where the stream was not answered."""
        exists = not self.expected.jobs[job_id].cancelled
        target, most = f"/api/jobs/{job_id}/events", _EVENTS_SECONDS
        answer = await self.ask("job_events", "GET", target, most=most, exists=exists, may_break=True)
        if answer is None:
            return None
        events = events_of(answer.body)
        state = events[-1][0] if events else "nothing"
        if not self.expected.is_final(state):
            self.site.world.violated(f"the events of the job {job_id} end with {state}")
            return None
        # Events report an end at once; whether the store has it, the job says.
        return self.expected.seen(job_id, {"status": state, "stored": False})

    async def list_all(self, name: str, target: str, member: str) -> list[Mapping[str, object]] | None:
        """Return the newest entries of a list; None where it was not answered."""
        query = "" if name == "list_datasets" else f"?limit={_NEWEST}"
        answer = await self.ask(name, "GET", f"{target}{query}", most=READ_SECONDS)
        if answer is None:
            return None
        body = answer.json()
        assert isinstance(body, dict)
        return list(body[member])


def events_of(body: bytes) -> list[tuple[str, Mapping[str, object]]]:
    """Return name and content of each event of an event stream."""
    found = list[tuple[str, Mapping[str, object]]]()
    for block in body.decode().split("\n\n"):
        lines = dict(line.partition(": ")[::2] for line in block.splitlines())
        if "event" in lines:
            found.append((lines["event"], json.loads(lines.get("data") or "{}")))
    return found
