"""Expectations of the clients of the simulation, and their memory of what is to be checked later.

Each answer must have a status that the contract names for its operation, must belong to its request, and must agree
with every earlier answer to an equal one. What was acknowledged must stay.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from cqox.chaos.simulation.world import World
from services.http.contract.api import operation
from services.simulation.client import Answer

if TYPE_CHECKING:
    from services.simulation.site import Site

__all__ = ["Expectations", "JobPromise"]

_ALWAYS = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_RETRY_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_CAUSES: Mapping[str, tuple[str, ...]] = {
    "worker-lost": ("worker killed", "worker out of memory", "workers hang", "no workers"),
    "workers-unavailable": ("worker killed", "worker out of memory", "workers hang", "no workers"),
    "insufficient-storage": ("full disk", "server full"),
}
"""Faults of which at least one must have happened, by the problem that names what they break."""

_FINAL = frozenset({"succeeded", "failed", "cancelled", "interrupted"})


_AFTERMATH_SECONDS = 15.0


@dataclass(slots=True)
class JobPromise:
    """A job that was acknowledged.

    Attributes:
        job_id: its id.
        asked: the request.
        at: when it was acknowledged, in seconds.
        cancelled: whether somebody asked to cancel it.
        state: the last state that was seen.
        analysis_id: its report, once it has succeeded.
    """

    job_id: str
    asked: Mapping[str, object]
    at: float
    cancelled: bool = False
    state: str = "running"
    analysis_id: str = ""


@dataclass(slots=True)
class Expectations:
    """Everything that was acknowledged to all clients together.

    Attributes:
        world: learns of violations.
        exclusive: names of the files that no other tenant has.
        datasets: ids of data sets that were acknowledged, by file.
        reports: ids of reports that were acknowledged as stored, each with the digest of its numbers.
        jobs: the jobs that were acknowledged.
        counts: answers by operation and status.
        dataset_of: the data set of each report.
        removed: the operation that reads each path that was deleted.
        keys_reused: idempotency keys that were taken for two requests.
        jobs_asked_for: requests for jobs that were not answered with one.
        withdrawals: how many reports clients asked to delete, and jobs to cancel.
        doubtful: ids of reports and data sets whose deletion was not answered: it may still be carried out.
    """

    world: World
    exclusive: frozenset[str] = frozenset()
    datasets: dict[str, str] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, JobPromise] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    dataset_of: dict[str, str] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    keys_reused: list[str] = field(default_factory=list)
    jobs_asked_for: int = 0
    withdrawals: int = 0
    doubtful: set[str] = field(default_factory=set)
    _names: dict[str, list[str]] = field(default_factory=dict)
    _job_of_key: dict[str, str] = field(default_factory=dict)
    _numbers: dict[str, str] = field(default_factory=dict)
    _report_of: dict[str, str] = field(default_factory=dict)

    def answered(self, name: str, answer: Answer, *, seconds: float, most: float, sent: str = "") -> bool:
        """Check an answer by itself; return whether it is a success.

        Args:
            name: of the operation.
            answer: the response.
            seconds: how long it took.
            most: how long it may take.
            sent: what the client sent, for the message.
        """
        status = answer.status
        self.counts[f"{name} {status}"] = self.counts.get(f"{name} {status}", 0) + 1
        what = operation(name)
        good = {int(each.status) for each in what.answers}
        allowed = good | {int(each) for each in what.problems} | {int(each) for each in _ALWAYS}
        if status not in allowed:
            self._wrong(name, answer, f"has status {status}, which the contract does not name", sent)
        if seconds > most:
            self._wrong(name, answer, f"took {seconds:.3f} s of {most:.3f} s", sent)
        if status in _RETRY_LATER and "retry-after" not in answer.headers and status not in good:
            self._wrong(name, answer, "says nothing of when to come back", sent)
        if status not in good:
            self._check_problem(name, answer, sent)
        return status in good

    def _check_problem(self, name: str, answer: Answer, sent: str) -> None:
        if answer.headers.get("content-type", "") != "application/problem+json":
            self._wrong(name, answer, "is an error without a problem", sent)
            return
        body = answer.json()
        if not isinstance(body, dict) or body.get("status") != answer.status or not body.get("detail"):
            self._wrong(name, answer, "has a problem without its status or a detail", sent)

    def explained(self, name: str, answer: Answer, site: "Site", began: float, sent: str) -> None:
        """Check that a failure has a cause: a fault of what it names, since the request was sent.

        Args:
            name: of the operation.
            answer: the response.
            site: knows the faults.
            began: when the request was sent, in seconds.
            sent: what the client sent, for the message.
        """
        if answer.status < HTTPStatus.BAD_REQUEST:
            return
        body = answer.json()
        kind = str(body.get("type")) if isinstance(body, dict) else ""
        causes = _CAUSES.get(kind)
        if causes is not None and not site.has_faults(began, *causes, aftermath=_AFTERMATH_SECONDS):
            self._wrong(name, answer, "has no cause", sent)

    def uploaded(self, name: str, described: Mapping[str, object]) -> None:
        """Note a data set that was acknowledged."""
        dataset_id = str(described["dataset_id"])
        if self.datasets.setdefault(name, dataset_id) != dataset_id:
            self.world.violated(f"the file {name} has two ids")

    def delete(self, name: str, operation_name: str, path: str) -> None:
        """Note that something was deleted for good, until `comes_back` of its name.

        Args:
            name: names it.
            operation_name: the operation that reads it.
            path: by which it is read.
        """
        self.removed[path] = operation_name
        self._names.setdefault(name, []).append(path)

    def comes_back(self, name: str) -> None:
        """Note that what was deleted may be there again, since it is asked for."""
        for path in self._names.pop(name, []):
            self.removed.pop(path, None)

    def secrets(self) -> list[tuple[str, str]]:
        """Return operation and path of what clients of another tenant must not find."""
        hidden = [each for name, each in self.datasets.items() if name in self.exclusive]
        found = [("read_dataset", f"/api/datasets/{each}") for each in hidden]
        found += [("read_job", f"/api/jobs/{job_id}") for job_id in self.jobs]
        return found + [
            ("read_analysis", f"/api/analyses/{each}") for each in self.reports if self.dataset_of.get(each) in hidden
        ]

    def reported(self, asked: Mapping[str, object], report: Mapping[str, object]) -> None:
        """Check that a report belongs to its request and has the numbers of every earlier one."""
        options, given = report.get("options"), asked["options"]
        assert isinstance(given, dict)
        same = isinstance(options, dict) and options.get("seed") == given["seed"]
        estimates = report.get("estimates")
        names = [each["name"] for each in estimates] if isinstance(estimates, list) else []
        if report.get("dataset_id") != asked["dataset_id"] or not same or names != given["estimators"]:
            self.world.violated(f"a report of {report.get('dataset_id')} {names} answers {json.dumps(asked)}")
        request, analysis_id = json.dumps(asked, sort_keys=True), str(report.get("analysis_id"))
        if self._report_of.setdefault(request, analysis_id) != analysis_id:
            self.world.violated(f"one request has two reports: {self._report_of[request]} and {analysis_id}")
        self.dataset_of[analysis_id] = str(asked["dataset_id"])
        self._compare(analysis_id, report)
        provenance = report.get("provenance")
        if isinstance(provenance, dict) and provenance.get("stored") is True:
            self.reports.setdefault(analysis_id, self._numbers[analysis_id])

    def withdraw(self, analysis_id: str) -> None:
        """Note that a report may be gone from now on, as its deletion is asked for."""
        self.reports.pop(analysis_id, None)
        self.withdrawals += 1

    def cancel(self, job_id: str) -> None:
        """Note that somebody asks to cancel a job, which deletes the record of one that has ended."""
        self.jobs[job_id].cancelled = True
        self.withdrawals += 1

    def is_promised(self, analysis_id: str) -> bool:
        """Return whether a report must be there."""
        return analysis_id in self.reports and analysis_id not in self.doubtful

    def report_of(self, asked: Mapping[str, object]) -> str:
        """Return the id of the report of a request; empty where none was answered."""
        return self._report_of.get(json.dumps(asked, sort_keys=True), "")

    def read(self, analysis_id: str, report: Mapping[str, object]) -> None:
        """Check a stored report that was read."""
        if report.get("analysis_id") != analysis_id:
            self.world.violated(f"the report {report.get('analysis_id')} was read as {analysis_id}")
        self._compare(analysis_id, report)

    def _compare(self, analysis_id: str, report: Mapping[str, object]) -> None:
        numbers = json.dumps([report.get("estimates"), report.get("decision"), report.get("gates")], sort_keys=True)
        if self._numbers.setdefault(analysis_id, numbers) != numbers:
            self.world.violated(f"the report {analysis_id} has other numbers than before")

    def accepted(self, key: str, asked: Mapping[str, object], job: Mapping[str, object]) -> str:
        """Note a job that was acknowledged for an idempotency key; return its id."""
        job_id = str(job.get("job_id"))
        promise = self.jobs.setdefault(job_id, JobPromise(job_id, asked, self.world.now))
        if not key:
            return job_id
        if promise.asked != asked:
            self.world.violated(f"the job {job_id} was given to two requests")
        first = self._job_of_key.setdefault(key, job_id)
        if first != job_id:
            self.world.violated(f"one key has two jobs: {first} and {job_id}")
        return job_id

    def reused(self, key: str) -> None:
        """Note that one idempotency key was taken for two requests."""
        self.keys_reused.append(key)

    def seen(self, job_id: str, job: Mapping[str, object]) -> str:
        """Check the state of a job; return it."""
        promise, state = self.jobs[job_id], str(job.get("status"))
        if promise.state in _FINAL - {"interrupted"} and state != promise.state:
            self.world.violated(f"the job {job_id} was {promise.state} and is {state}")
        if state == "cancelled" and not promise.cancelled:
            self.world.violated(f"the job {job_id} was cancelled by nobody")
        # An end that waits for the store is no promise: a crash of its engine loses it.
        if job.get("stored") is not False:
            promise.state = state
        promise.analysis_id = str(job.get("analysis_id") or "") or promise.analysis_id
        return state

    def counted(self, listed: int, unknown: int) -> None:
        """Check that no job runs that nobody asked for.

        Args:
            listed: number of all jobs in the list.
            unknown: number of those that no client knows of.
        """
        if unknown > self.jobs_asked_for:
            self.world.violated(
                f"{unknown} of {listed} jobs were acknowledged to nobody; only {self.jobs_asked_for} requests for a "
                "job were left without an answer"
            )

    def is_final(self, state: str) -> bool:
        """Return whether a job in this state has ended."""
        return state in _FINAL

    def _wrong(self, name: str, answer: Answer, what: str, sent: str) -> None:
        text = answer.body[:300].decode("utf-8", "replace")
        self.world.violated(f"an answer to {name} {what}{f' (asked {sent})' if sent else ''}: {answer.status} {text}")
