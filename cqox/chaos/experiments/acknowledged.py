"""Everything that the system has acknowledged, and the check afterwards that none of it is lost."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import trio

__all__ = ["Acknowledged", "Numbers", "numbers_of", "rows_with"]

type Numbers = Mapping[str, tuple[str, object, object]]
"""Status, value and standard error of each estimate by its name."""

_ENDED = frozenset({"succeeded", "failed", "cancelled", "interrupted"})
_FOR_NOW = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT})
_PAUSE_SECONDS = 0.2
_AT_ONCE = 8
_ROWS = 40
_ROUNDING = 1e-9


def rows_with(effect: int) -> bytes:
    """Return a file whose two arms differ by an effect in the mean, to the last digit."""
    rows = "".join(f"{row},{row % 2},{row // 2 % 5 + effect * (row % 2)}\n" for row in range(_ROWS))
    return f"id,w,y\n{rows}".encode()


def numbers_of(report: Mapping[str, Any]) -> Numbers:
    """Return the numbers of a report."""
    return {
        str(each["name"]): (str(each["status"]), each.get("estimate"), each.get("standard_error"))
        for each in report["estimates"]
    }


@dataclass(eq=False)
class Acknowledged:
    """The promises to clients.

    Attributes:
        numbers: of each request, by the seed that it is known by.
        reports: the seed of each report that was said to be stored, by its id.
        jobs: the seed of each job that was accepted, by its id.
        keys: the job of each idempotency key.
        uploads: the effect in each data set whose upload was acknowledged, by its id.
        violations: sentences on promises that were not kept.
        ends: number of jobs by the status with which they ended.
    """

    numbers: dict[int, Numbers] = field(default_factory=dict)
    reports: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    def report(self, seed: int, report: Mapping[str, Any]) -> bool:
        """Take a report that was answered; return whether its numbers equal those of earlier answers."""
        found = numbers_of(report)
        if report.get("provenance", {}).get("stored"):
            self.reports[str(report["analysis_id"])] = seed
        return self._equal(seed, found, f"analysis {report['analysis_id']}")

    def job(self, seed: int, key: str, job_id: str) -> bool:
        """Take a job that was accepted; return whether it is the one of its key."""
        self.jobs[job_id] = seed
        if self.keys.setdefault(key, job_id) == job_id:
            return True
        self.violations.append(f"the idempotency key {key} has two jobs: {self.keys[key]} and {job_id}")
        return False

    def _equal(self, seed: int, found: Numbers, what: str) -> bool:
        if self.numbers.setdefault(seed, found) == found:
            return True
        self.violations.append(f"{what} has other numbers than an equal request: {found} and {self.numbers[seed]}")
        return False

    async def verify(self, client: httpx.AsyncClient, *, patience: float) -> None:
        """Read everything that was acknowledged; what is not as promised becomes a violation.

        Args:
            client: of the system, which is well again.
            patience: seconds until everything has to be readable and every job to have ended.
        """
        limiter = trio.CapacityLimiter(_AT_ONCE)
        end = trio.current_time() + patience
        async with trio.open_nursery() as nursery:
            for job_id, seed in list(self.jobs.items()):
                nursery.start_soon(self._verify_job, client, job_id, seed, end, limiter)
            for analysis_id, seed in list(self.reports.items()):
                nursery.start_soon(self._verify_report, client, analysis_id, seed, end, limiter)
            for dataset_id, effect in list(self.uploads.items()):
                nursery.start_soon(self._verify_upload, client, dataset_id, effect, end, limiter)

    async def _verify_upload(
        self, client: httpx.AsyncClient, dataset_id: str, effect: int, end: float, limiter: trio.CapacityLimiter
    ) -> None:
        mapping = {"y": "y", "treatment": "w", "unit_id": "id"}
        body = {"dataset_id": dataset_id, "mapping": mapping, "options": {"estimators": ["difference_in_means"]}}
        async with limiter:
            answer = await _answer(lambda: client.post("/api/analyze/comprehensive", json=body, timeout=30), end)
        if answer is None or answer.status_code != httpx.codes.OK:
            said = "no answer" if answer is None else f"{answer.status_code} {answer.text[:200]}"
            self.violations.append(f"data set {dataset_id} was acknowledged and cannot be analysed: {said}")
            return
        found = answer.json()["estimates"][0].get("estimate")
        if found is None or abs(found - effect) > _ROUNDING * effect:
            self.violations.append(f"data set {dataset_id} has another effect than was uploaded: {found}, not {effect}")

    async def _verify_report(
        self, client: httpx.AsyncClient, analysis_id: str, seed: int, end: float, limiter: trio.CapacityLimiter
    ) -> None:
        async with limiter:
            answer = await _read(client, f"/api/analyses/{analysis_id}", end)
        if answer is None or answer.status_code != httpx.codes.OK:
            said = "no answer" if answer is None else f"{answer.status_code} {answer.text[:200]}"
            self.violations.append(f"analysis {analysis_id} was acknowledged as stored and cannot be read: {said}")
            return
        self._equal(seed, numbers_of(answer.json()), f"the stored analysis {analysis_id}")

    async def _verify_job(
        self, client: httpx.AsyncClient, job_id: str, seed: int, end: float, limiter: trio.CapacityLimiter
    ) -> None:
        said = "no answer"
        while trio.current_time() < end:
            async with limiter:
                answer = await _read(client, f"/api/jobs/{job_id}", end)
            if answer is not None and answer.status_code == httpx.codes.OK:
                record = answer.json()
                said = str(record["status"])
                if said in _ENDED:
                    self.ends[said] += 1
                    if said == "succeeded":
                        await self._verify_report(client, record["analysis_id"], seed, end, limiter)
                    return
            elif answer is not None:
                said = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code == httpx.codes.NOT_FOUND:
                    break
            await trio.sleep(_PAUSE_SECONDS)
        self.violations.append(f"job {job_id} was acknowledged and has not ended: {said}")


async def _read(client: httpx.AsyncClient, path: str, end: float) -> httpx.Response | None:
    return await _answer(lambda: client.get(path, timeout=15), end)


async def _answer(ask: Callable[[], Awaitable[httpx.Response]], end: float) -> httpx.Response | None:
    """Return an answer; ask again until a time where there is none, or one that says that it is for now."""
    while True:
        answer = None
        with suppress(httpx.HTTPError, json.JSONDecodeError):
            answer = await ask()
            answer.json()
            if answer.status_code not in _FOR_NOW:
                return answer
        if trio.current_time() >= end:
            return answer
        await trio.sleep(_PAUSE_SECONDS)
