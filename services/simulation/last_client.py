"""The client that asks at the end of a run, when all is well and every answer must be a success."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.simulation.asking import ANALYSIS_SECONDS, READ_SECONDS, Asking
from services.simulation.catalog import ANALYSES, FILES, OWN_ANALYSES, OWN_FILES

__all__ = ["LastClient"]


@dataclass(slots=True)
class LastClient(Asking):
    """One client of a tenant."""

    async def check_deleted(self) -> None:
        """Check that what was deleted is not there."""
        for path, name in list(self.expected.removed.items()):
            await self.ask(name, "GET", path, most=READ_SECONDS, gone=True)

    async def check_lists(self) -> None:
        """Check that what is listed was asked for, has ended and can be used."""
        jobs = await self.list_all("list_jobs", "/api/jobs", "jobs") or []
        unknown = [each for each in jobs if each["job_id"] not in self.expected.jobs]
        self.expected.counted(len(jobs), len(unknown))
        for each in jobs:
            if each["status"] == "running":
                self.site.world.violated(f"the job {each['job_id']} is listed as running at the end")
        names = {dataset_id: name for name, dataset_id in self.expected.datasets.items()}
        for listed in await self.list_all("list_datasets", "/api/datasets", "datasets") or []:
            name = names.get(str(listed["dataset_id"]))
            one = None if name is None else _analysis_of(name)
            asked = None if one is None else self.asked(one)
            if asked is not None and not await self.preview(asked):
                self.site.world.violated(f"the data set {name} is listed, and cannot be analysed")

    async def ask_everything(self) -> dict[str, bool]:
        """Ask for one thing of each kind; return for each whether it was a success."""
        name = self.tenant.files[0]
        found = {"an upload": await self.upload(name, FILES[name])}
        asked = self.asked(self.draw.choice([each for each in ANALYSES if each["dataset"] in (name, "test")]))
        if asked is None:
            return found
        found["a preview"] = await self.preview(asked)
        found["an analysis"] = await self.analyze(asked, most=ANALYSIS_SECONDS, fields={})
        found["an analysis by events"] = await self.analyze_by_events(asked)
        key = f"{self.draw.getrandbits(64):016x}"
        job_id = await self.start_job(asked, key)
        found["a job"] = job_id is not None
        if job_id is not None:
            found["the events of a job"] = await self.follow_events(job_id) == "succeeded"
        for kind, target in (
            ("list_analyses", "/api/analyses"),
            ("ready", "/health/ready"),
            ("list_estimators", "/api/estimators"),
        ):
            found[kind] = await self.ask(kind, "GET", target, most=READ_SECONDS) is not None
        return {**found, **await self._delete_everything()}

    async def _delete_everything(self) -> dict[str, bool]:
        """Upload and analyse a file, delete its report, analyse it again, and delete it; what is deleted is gone."""
        name = next(each for each in OWN_FILES if not self.expected.exclusive or each in self.expected.exclusive)
        self.expected.comes_back(name)
        self.expected.comes_back(f"report of {name}")
        if not await self.upload(name, OWN_FILES[name]):
            return {"an upload of an own file": False}
        found, path = dict[str, bool](), f"/api/datasets/{self.expected.datasets[name]}"
        for operation, target in (("delete_analysis", ""), ("delete_dataset", f"{path}?erase=reports")):
            asked = self.asked(OWN_ANALYSES[name])
            assert asked is not None
            found[f"an analysis before {operation}"] = await self.analyze(asked, most=ANALYSIS_SECONDS, fields={})
            report = self.expected.report_of(asked)
            done = await self.ask(operation, "DELETE", target or f"/api/analyses/{report}", most=READ_SECONDS)
            found[operation] = done is not None
            self.expected.withdraw(report)
            await self.ask("read_analysis", "GET", f"/api/analyses/{report}", most=READ_SECONDS, gone=True)
        self.expected.datasets.pop(name)
        await self.ask("read_dataset", "GET", path, most=READ_SECONDS, gone=True)
        return found


def _analysis_of(name: str) -> Mapping[str, object] | None:
    return OWN_ANALYSES.get(name) or next((each for each in ANALYSES if each["dataset"] == name), None)
