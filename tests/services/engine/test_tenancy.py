"""The tenant of a request, over services that only know which tenant they are of."""

import json
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio

from cqox.analysis.answer import Answer
from cqox.analysis.jobs import Job, Jobs
from cqox.security import LOCAL
from cqox.storage import Page
from cqox.tasks import open_task_group
from services.config.settings import Settings
from services.engine import analyses, history, jobs, keys, tenancy
from services.engine.state import State
from services.engine.tenancy import tenant_of
from services.http.security.requester import set_principal
from tests.analysis.test_jobs import Owner
from tests.services.engine.handled import Store, app_of
from tests.services.engine.test_analyses import ASKED, PATH, Service


class Services:
    """Services of a tenant, which list its name."""

    def __init__(self, tenant_id: str) -> None:
        self.tenant_id = tenant_id
        self.history = self
        self.store = Store()
        self.records = SimpleNamespace(is_waiting=lambda _: False)

    async def summaries(self, **_: object) -> Page[Any]:
        return Page(items=[], next=f"2026|{self.tenant_id}")


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> State:
    """The state of an engine whose requests name their tenant by a header."""

    def named(scope: Mapping[str, Any]) -> str:
        return next((value.decode() for name, value in scope["headers"] if name.lower() == b"x-test-tenant"), "none")

    for module in (tenancy, jobs, keys, analyses):
        monkeypatch.setattr(module, "tenant_of", named)
    made = State(settings=Settings())
    made.analyses = cast("Any", SimpleNamespace(within=Services))
    return made


async def asked(state: State, path: str, tenant_id: str) -> tuple[int, Mapping[str, Any]]:
    handlers = history.handlers(state) | jobs.handlers(state)
    answer = await app_of(handlers).test_client().get(path, headers={"X-Test-Tenant": tenant_id})
    return answer.status_code, json.loads(await answer.get_data())


def test_a_request_belongs_to_the_tenant_of_its_principal_whatever_it_says() -> None:
    scope: dict[str, Any] = {"type": "http", "headers": [(b"x-test-tenant", b"other")]}
    set_principal(scope, replace(LOCAL, tenant="acme"))
    assert tenant_of(scope) == "acme"


def test_a_request_without_a_principal_reads_no_data_of_a_tenant() -> None:
    with pytest.raises(RuntimeError, match="needs no principal"):
        tenant_of({"type": "http", "headers": []})


@pytest.mark.trio
async def test_each_request_is_answered_by_the_services_of_its_tenant(state: State) -> None:
    for tenant_id in ("acme", "other"):
        assert (await asked(state, "/api/analyses", tenant_id))[1]["next"] == f"2026|{tenant_id}"


@pytest.mark.trio
async def test_a_job_in_memory_is_found_by_its_tenant_alone(state: State) -> None:
    state.jobs = Jobs(cast("Any", None), cast("Any", None))
    job = Job("d", "j")
    state.jobs._jobs["acme", "j"] = job
    assert state.jobs.within("acme").find("j") is job
    assert state.jobs.within("other").find("j") is None
    status, found = await asked(state, "/api/jobs/j", "acme")
    assert (status, found["job_id"]) == (200, "j")


@pytest.mark.trio
async def test_a_job_stays_that_of_its_tenant_after_its_request_has_ended(state: State) -> None:
    computed, go_on = list[str](), trio.Event()

    class OfTenant(Service):
        def __init__(self, tenant_id: str) -> None:
            super().__init__()
            self.tenant_id = tenant_id

        async def analyze(self, asked: object, **_: object) -> Answer:
            await go_on.wait()
            computed.append(self.tenant_id)
            return await super().analyze(asked)

    services = {name: OfTenant(name) for name in ("acme", "other")}
    state.analyses = cast("Any", SimpleNamespace(within=services.get))
    async with open_task_group() as group:
        state.jobs = Jobs(group, Owner().shift)
        client = app_of(analyses.handlers(state)).test_client()
        ids = list[str]()
        for name in services:
            headers = {"X-Test-Tenant": name, "Prefer": "respond-async", "Idempotency-Key": "same"}
            answer = await client.post(PATH, json=ASKED, headers=headers)
            assert answer.status_code == 202
            ids.append((await answer.get_json())["job_id"])
        assert len(set(ids)) == 2
        go_on.set()
    assert sorted(computed) == ["acme", "other"]
    for name, job_id in zip(services, ids, strict=True):
        assert [record.job_id for record in services[name].records.begun] == [job_id]
        assert [state.jobs.within(each).find(job_id) is not None for each in services] == [
            each == name for each in services
        ]
