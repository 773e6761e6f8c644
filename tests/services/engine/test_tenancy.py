"""The tenant of a request, over services that only know which tenant they are of."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cqox.analysis.jobs import Job
from cqox.storage import DEFAULT_TENANT, Page
from services.config.settings import Settings
from services.engine import history, jobs, tenancy
from services.engine.state import State
from services.engine.tenancy import tenant_of
from tests.services.engine.handled import Store, app_of


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

    monkeypatch.setattr(tenancy, "tenant_of", named)
    monkeypatch.setattr(jobs, "tenant_of", named)
    made = State(settings=Settings())
    made.analyses = cast("Any", SimpleNamespace(within=Services))
    return made


async def asked(state: State, path: str, tenant_id: str) -> tuple[int, Mapping[str, Any]]:
    handlers = history.handlers(state) | jobs.handlers(state)
    answer = await app_of(handlers).test_client().get(path, headers={"X-Test-Tenant": tenant_id})
    return answer.status_code, json.loads(await answer.get_data())


def test_requests_belong_to_the_first_tenant_until_they_are_authenticated() -> None:
    assert tenant_of({"type": "http", "headers": [(b"x-test-tenant", b"acme")]}) == DEFAULT_TENANT


@pytest.mark.trio
async def test_each_request_is_answered_by_the_services_of_its_tenant(state: State) -> None:
    for tenant_id in ("acme", "other"):
        assert (await asked(state, "/api/analyses", tenant_id))[1]["next"] == f"2026|{tenant_id}"


@pytest.mark.trio
async def test_a_job_in_memory_is_found_by_its_tenant_alone(state: State) -> None:
    from cqox.analysis.jobs import Jobs

    state.jobs = Jobs(cast("Any", None), cast("Any", None))
    job = Job("d", "j")
    state.jobs._jobs["acme", "j"] = job
    assert state.jobs.within("acme").find("j") is job
    assert state.jobs.within("other").find("j") is None
    status, found = await asked(state, "/api/jobs/j", "acme")
    assert (status, found["job_id"]) == (200, "j")
