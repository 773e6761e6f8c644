"""An app with some of the engine's handlers, over stubs in place of its stores and workers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

from cqox.storage import JobRecord
from services.config.settings import Settings
from services.engine.state import State
from services.http.contract.api import operation
from services.http.contract.registration import Handler
from services.http.server.app import App

__all__ = ["Jobs", "Records", "Store", "app_of", "state_of"]


class Store:
    """A store of job records."""

    def __init__(self, *jobs: JobRecord) -> None:
        self.kept = {job.job_id: job for job in jobs}

    async def job(self, job_id: str) -> JobRecord | None:
        return self.kept.get(job_id)

    async def delete_job(self, job_id: str) -> bool:
        return self.kept.pop(job_id, None) is not None


class Records:
    """Job records, of which these wait for the store."""

    def __init__(self, *waiting: str) -> None:
        self.waiting = set(waiting)
        self.begun: list[JobRecord] = []

    def is_waiting(self, job_id: str) -> bool:
        return job_id in self.waiting

    @asynccontextmanager
    async def exclusive(self, job_id: str | None) -> AsyncIterator[None]:
        yield

    async def begin(self, record: JobRecord) -> None:
        self.begun.append(record)


class Jobs(dict):
    """The jobs in an engine's memory, by id."""

    def find(self, job_id: str):
        return self.get(job_id)

    def forget(self, job_id: str) -> None:
        self.pop(job_id, None)

    def launch(self, job, work) -> None:
        self[job.job_id] = job

    def within(self, tenant_id: str):
        return self


def state_of(**analyses: object) -> State:
    state = State(settings=Settings())
    made = SimpleNamespace(**analyses)
    made.within = lambda _: made
    state.analyses = cast("object", made)
    state.jobs = cast("object", Jobs())
    return state


def app_of(handlers: Mapping[str, Handler]) -> App:
    app = App(__name__, title="Engine", settings=Settings())
    for name, handler in handlers.items():
        what = operation(name)
        rule = what.path.replace("{", "<").replace("}", ">")
        app.add_url_rule(rule, name, handler, methods=[what.method], provide_automatic_options=False)
    return app
