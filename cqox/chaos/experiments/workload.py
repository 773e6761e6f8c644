"""The load of an experiment: requests at a steady rate that do not wait for each other, and a record of each answer."""

import base64
import hashlib
import json
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import trio

from cqox.chaos.experiments.acknowledged import Acknowledged, rows_with
from cqox.chaos.experiments.experiment import Load
from cqox.chaos.experiments.records import Records, Sent
from cqox.chaos.experiments.system import System

__all__ = ["DEADLINES", "Workload", "statuses_of"]

DEADLINES: Mapping[str, float] = {
    "analysis": 8.0,
    "job": 6.0,
    "long-job": 6.0,
    "upload": 8.0,
    "stored": 4.0,
    "health": 4.0,
}
"""Seconds that a request of each kind allows, in `X-Request-Timeout-Ms`."""

_GIVE_UP_SECONDS = 8.0
"""Time that a client waits beyond the deadline before it counts the request as unanswered."""

_PAUSE_SECONDS = 0.05
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")
_REPEATED = 3
_MAPPING = {"y": "y", "treatment": "w", "unit_id": "id", "covariates": ["x1", "x2", "x3", "x4"]}
_SHORT: Mapping[str, object] = {"estimators": ["difference_in_means"]}
_LONG: Mapping[str, object] = {"estimators": ["dml_plr"], "repetitions": 600}
_ANALYZE = "/api/analyze/comprehensive"
_UPLOAD = "/api/datasets"
_PATHS: Mapping[str, tuple[str, str]] = {
    "analysis": (_ANALYZE, "post"),
    "job": (_ANALYZE, "post"),
    "long-job": (_ANALYZE, "post"),
    "upload": (_UPLOAD, "post"),
    "stored": ("/api/analyses/{analysis_id}", "get"),
    "health": ("/health/ready", "get"),
}
_AT_MOST = 400
"""Requests that wait for an answer; beyond it no further one is sent."""

type _Answered = tuple[int, str, bool]
"""Status, problem, and whether the client has what it wanted."""


def statuses_of(document: Mapping[str, Any]) -> dict[str, frozenset[int]]:
    """Return the statuses that an OpenAPI document promises for each kind of request."""
    paths = document["paths"]
    return {
        kind: frozenset(int(status) for status in paths[path][method]["responses"] if status.isdigit())
        for kind, (path, method) in _PATHS.items()
    }


class Workload:
    """The clients of one experiment.

    Attributes:
        records: every request and its answer.
        acknowledged: what the answers promised.
    """

    def __init__(self, system: System, load: Load, statuses: Mapping[str, frozenset[int]], *, seed: int) -> None:
        """Prepare the load.

        Args:
            system: what is asked.
            load: rate and mix.
            statuses: those that the interface promises, by kind of request.
            seed: decides the order of kinds, and which requests are repeated.
        """
        self._system = system
        self._load = load
        self._statuses = statuses
        self._random = random.Random(seed)
        self._next = 0
        self._number = 0
        self._origin = trio.current_time()
        self._known: dict[str, list[int]] = {"analysis": [], "job": []}
        self.records = Records()
        self.acknowledged = Acknowledged()
        self._kinds: Mapping[str, Callable[[httpx.AsyncClient], Awaitable[_Answered]]] = {
            "analysis": self._analysis,
            "job": self._job,
            "long-job": self._long_job,
            "upload": self._upload,
            "stored": self._stored,
            "health": self._health,
        }

    def now(self) -> float:
        """Return the seconds since the load was prepared."""
        return trio.current_time() - self._origin

    async def run(self) -> None:
        """Send requests until it is cancelled; those that are under way are then given up and not recorded."""
        self._origin = trio.current_time()
        pause = 1 / self._load.per_second
        kinds, shares = list(self._load.mix), list(self._load.mix.values())
        async with trio.open_nursery() as nursery:
            due = trio.current_time()
            while True:
                if len(self.records.pending) < _AT_MOST:
                    (kind,) = self._random.choices(kinds, shares)
                    nursery.start_soon(self.send, kind)
                # Not a pause after each: the rate stays also where this task is late.
                due += pause
                await trio.sleep_until(due)

    async def settle(self, *, before: float, patience: float) -> None:
        """Wait until no request that began before a time is under way, for so many seconds at most."""
        end = self.now() + patience
        while True:
            if self.now() >= end or all(begin >= before for begin in self.records.pending.values()):
                return
            await trio.sleep(_PAUSE_SECONDS)

    async def send(self, kind: str) -> None:
        """Send one request and record its answer."""
        self._number += 1
        number, begin = self._number, self.now()
        self.records.pending[number] = begin
        try:
            status, problem, is_good = await self._answered(kind)
            deadline = DEADLINES[kind]
            self.records.done.append(
                Sent(
                    kind=kind,
                    begin=begin,
                    seconds=self.now() - begin,
                    status=status,
                    problem=problem,
                    is_good=is_good,
                    deadline=deadline,
                    in_contract=status == 0 or status in self._statuses[kind],
                )
            )
        finally:
            del self.records.pending[number]

    async def _answered(self, kind: str) -> _Answered:
        try:
            with trio.fail_after(DEADLINES[kind] + _GIVE_UP_SECONDS):
                return await self._kinds[kind](self._system.client)
        except trio.TooSlowError:
            return 0, "no answer", False
        except httpx.HTTPError as error:
            return 0, type(error).__name__, False
        except (RuntimeError, trio.ClosedResourceError):
            # The client was replaced and closed while the request was under way.
            return 0, "client closed", False

    async def _analysis(self, client: httpx.AsyncClient) -> _Answered:
        seed = self._seed("analysis")
        headers = _limits("analysis")
        answer = self._intact(await client.post(_ANALYZE, json=_body(seed, _SHORT), headers=headers))
        if answer.status_code != httpx.codes.OK:
            return _failed(answer)
        report = _json(answer)
        if report is None:
            return answer.status_code, "not JSON", False
        self._known["analysis"].append(seed)
        return answer.status_code, "", self.acknowledged.report(seed, report)

    async def _job(self, client: httpx.AsyncClient) -> _Answered:
        return await self._submitted(client, self._seed("job"), _SHORT)

    async def _long_job(self, client: httpx.AsyncClient) -> _Answered:
        self._next += 1
        return await self._submitted(client, self._next, _LONG)

    async def _submitted(self, client: httpx.AsyncClient, seed: int, options: Mapping[str, object]) -> _Answered:
        key = f"chaos-{seed}"
        headers = {"Prefer": "respond-async", "Idempotency-Key": key, **_limits("job")}
        answer = self._intact(await client.post(_ANALYZE, json=_body(seed, options), headers=headers))
        if answer.status_code != httpx.codes.ACCEPTED:
            return _failed(answer)
        record = _json(answer)
        if record is None:
            return answer.status_code, "not JSON", False
        if options is _SHORT:
            self._known["job"].append(seed)
        return answer.status_code, "", self.acknowledged.job(seed, key, str(record["job_id"]))

    async def _upload(self, client: httpx.AsyncClient) -> _Answered:
        self._next += 1
        effect = self._next
        answer = self._intact(
            await client.post(
                f"{_UPLOAD}?name=chaos-{effect}.csv", content=rows_with(effect), headers=_limits("upload")
            )
        )
        if answer.status_code != httpx.codes.CREATED:
            return _failed(answer)
        record = _json(answer)
        if record is None:
            return answer.status_code, "not JSON", False
        self.acknowledged.uploads[str(record["dataset_id"])] = effect
        return answer.status_code, "", True

    async def _stored(self, client: httpx.AsyncClient) -> _Answered:
        reports = self.acknowledged.reports
        if not reports:
            return await self._health(client)
        analysis_id = self._random.choice(list(reports))
        answer = self._intact(await client.get(f"/api/analyses/{analysis_id}", headers=_limits("stored")))
        if answer.status_code != httpx.codes.OK:
            return _failed(answer)
        report = _json(answer)
        if report is None:
            return answer.status_code, "not JSON", False
        return answer.status_code, "", self.acknowledged.report(reports[analysis_id], report)

    async def _health(self, client: httpx.AsyncClient) -> _Answered:
        answer = await client.get("/health/ready", headers=_limits("health"))
        return answer.status_code, "", answer.status_code == httpx.codes.OK

    def _intact(self, answer: httpx.Response) -> httpx.Response:
        """Return the answer; that its body is another one than its digest says is a violation."""
        announced = _DIGEST.search(answer.headers.get("content-digest", ""))
        if announced and base64.b64decode(announced[1]) != hashlib.sha256(answer.content).digest():
            what = f"{answer.request.method} {answer.request.url.path}"
            self.acknowledged.violations.append(f"an answer to {what} differs from its Content-Digest")
        return answer

    def _seed(self, kind: str) -> int:
        """Return the seed of a new request, or every few times that of an earlier one that was answered."""
        self._next += 1
        if self._known[kind] and self._next % _REPEATED == 0:
            return self._random.choice(self._known[kind])
        return self._next


def _body(seed: int, options: Mapping[str, object]) -> dict[str, object]:
    return {"dataset_id": "test", "mapping": _MAPPING, "options": {"seed": seed, **options}}


def _limits(kind: str) -> dict[str, str]:
    # A digest is that of the content in its coding, which httpx removes.
    return {"X-Request-Timeout-Ms": str(int(DEADLINES[kind] * 1000)), "Accept-Encoding": "identity"}


def _failed(answer: httpx.Response) -> _Answered:
    problem = _json(answer)
    return answer.status_code, str((problem or {}).get("type", "no problem")), False


def _json(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        found = json.loads(answer.content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
