"""A small server with the paths of CQOx that keeps its promises, or breaks one of them on purpose; in this process."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import trio

from cqox.chaos.experiments import (
    After,
    Experiment,
    Fault,
    Load,
    Needs,
    Probe,
    SteadyState,
    Target,
    Text,
)
from cqox.chaos.experiments.system import Health, SystemUnusable
from services.http.contract.openapi import openapi_document

GOODPUT = Probe(kind="goodput", parameters={"at_least": 1.0})
STATUSES = Probe(kind="statuses")


def experiment(**changes: Any) -> Experiment:
    """An experiment of a second or two."""
    given: dict[str, Any] = {
        "name": "scripted",
        "title": Text(en="An engine <is> killed", ja="エンジンを強制終了する"),
        "hypothesis": Text(en="Nothing is lost.", ja="何も失われない。"),
        "needs": Needs(engines=1),
        "load": Load(per_second=40, mix={"analysis": 0.4, "job": 0.2, "stored": 0.2, "health": 0.2}),
        "steady_state": SteadyState(seconds=1.0, probes=(GOODPUT,)),
        "faults": (Fault(kind="process-kill", target=Target(component="engine"), seconds=0.5),),
        "during": (STATUSES,),
        "after": After(healed_within=2.0),
    }
    return Experiment(**(given | changes))


@dataclass(eq=False)
class Scripted:
    """The system; a fault makes it answer with `status` meanwhile.

    Attributes:
        lies: promises that it breaks: `forget-jobs`, `other-numbers`, `two-jobs`, `other-bytes`, `lose-reports`,
            `lose-uploads`, `other-effect`, `no-end`, `late`, `teapot`.
        status: of the answers during a fault.
        heals: whether it is well after a fault.
    """

    lies: frozenset[str] = frozenset()
    status: int = 503
    heals: bool = True
    unusable: str = ""
    notes: list[str] = field(default_factory=list)
    client: httpx.AsyncClient = field(init=False)
    jobs: dict[str, int] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    is_broken: bool = False
    asked: int = 0
    number: int = 1

    def __post_init__(self) -> None:
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer), base_url="http://scripted")

    @asynccontextmanager
    async def open(self, experiment: Experiment, folder: Path) -> AsyncIterator["Scripted"]:
        if self.unusable:
            raise SystemUnusable(self.unusable)
        yield self

    async def health(self, component: str) -> Sequence[Health]:
        degraded = {"results": "is away"} if self.is_broken else {}
        return [Health(name=f"{component}-1", status=200, degraded=degraded)]

    def log(self, component: str) -> str:
        return "started\n" + "broken\n" * (self.number - 1)

    def processes(self, component: str) -> Mapping[str, str]:
        return {"engine-1": str(self.number)} if component == "engine" else {}

    @asynccontextmanager
    async def broken(self, fault: Fault) -> AsyncIterator[None]:
        self.is_broken = True
        self.number += 1
        try:
            yield
        finally:
            self.is_broken = not self.heals

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/openapi.json":
            return httpx.Response(200, json=openapi_document())
        if self.is_broken:
            return httpx.Response(self.status, json={"type": "unavailable"})
        if "teapot" in self.lies and path == "/health/ready":
            return httpx.Response(418)
        if path == "/health/ready":
            return httpx.Response(200, json={"degraded": {}})
        if path == "/api/datasets":
            dataset_id = f"d-{len(self.uploads)}"
            self.uploads[dataset_id] = request.content
            return httpx.Response(201, json={"dataset_id": dataset_id})
        if path.startswith("/api/jobs/"):
            return self._job(path.rpartition("/")[2])
        if path.startswith("/api/analyses/"):
            if "lose-reports" in self.lies:
                return httpx.Response(404, json={"type": "not-found"})
            return httpx.Response(200, json=self._report(int(path.rpartition("-")[2])))
        asked = json.loads(request.content)
        if asked["dataset_id"] in self.uploads:
            return self._of_upload(self.uploads[asked["dataset_id"]])
        seed = asked["options"]["seed"]
        if request.headers.get("prefer") == "respond-async":
            key = request.headers["idempotency-key"]
            job_id = f"job-{len(self.jobs)}" if "two-jobs" in self.lies else self.keys.setdefault(key, f"job-{key}")
            self.jobs[job_id] = seed
            return httpx.Response(202, json={"job_id": job_id})
        if "late" in self.lies and self.asked > 8:
            await trio.sleep(2.5)
            return httpx.Response(504, json={"type": "deadline-exceeded"})
        answer = httpx.Response(200, json=self._report(seed))
        digest = hashlib.sha256(answer.content + (b" " if "other-bytes" in self.lies else b"")).digest()
        answer.headers["content-digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
        return answer

    def _of_upload(self, content: bytes) -> httpx.Response:
        """The difference in means of a file with a row for each unit."""
        if "lose-uploads" in self.lies:
            return httpx.Response(404, json={"type": "not-found"})
        rows = [[int(each) for each in line.split(",")] for line in content.decode().split()[1:]]
        arms = [[y for _, w, y in rows if w == arm] for arm in (0, 1)]
        value = sum(arms[1]) / len(arms[1]) - sum(arms[0]) / len(arms[0]) + ("other-effect" in self.lies)
        estimate = {"name": "difference_in_means", "status": "ok", "estimate": value, "standard_error": 1.0}
        return httpx.Response(200, json={"analysis_id": "a-0", "estimates": [estimate], "provenance": {}})

    def _job(self, job_id: str) -> httpx.Response:
        if "forget-jobs" in self.lies:
            return httpx.Response(404, json={"type": "not-found"})
        status = "running" if "no-end" in self.lies else "succeeded"
        return httpx.Response(200, json={"status": status, "analysis_id": f"a-{self.jobs[job_id]}"})

    def _report(self, seed: int) -> dict[str, object]:
        self.asked += 1
        value = self.asked if "other-numbers" in self.lies else seed
        estimate = {"name": "difference_in_means", "status": "ok", "estimate": value, "standard_error": 1.0}
        return {"analysis_id": f"a-{seed}", "estimates": [estimate], "provenance": {"stored": True}}
