"""The load: one record for each request, and the statuses that its answers may have."""

import httpx
import pytest
import trio

from cqox.chaos.experiments.workload import DEADLINES, Workload, statuses_of
from services.http.contract.openapi import openapi_document
from tests.chaos.experiments.scripted import Scripted, experiment

pytestmark = pytest.mark.trio


def workload(system: Scripted) -> Workload:
    return Workload(system, experiment().load, statuses_of(openapi_document()), seed=1)


async def test_the_contract_has_the_statuses_of_each_kind() -> None:
    found = statuses_of(openapi_document())
    assert set(found) == set(DEADLINES)
    assert found["job"] >= {202, 503, 507}
    assert 507 not in found["stored"]


async def test_every_request_is_recorded_with_its_answer() -> None:
    system = Scripted()
    work = workload(system)
    for kind in DEADLINES:
        await work.send(kind)
    assert [(each.kind, each.status, each.is_good) for each in work.records.done] == [
        ("analysis", 200, True),
        ("job", 202, True),
        ("long-job", 202, True),
        ("upload", 201, True),
        ("stored", 200, True),
        ("health", 200, True),
    ]
    system.is_broken, system.status = True, 418
    await work.send("analysis")
    (*_, last) = work.records.done
    assert (last.status, last.problem, last.is_good, last.in_contract) == (418, "unavailable", False, False)
    assert not work.records.pending


async def test_a_request_without_an_answer_is_recorded_as_status_0() -> None:
    system = Scripted()

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    system.client = httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://scripted")
    work = workload(system)
    await work.send("health")
    assert [(each.status, each.problem) for each in work.records.done] == [(0, "ConnectError")]


async def test_requests_are_sent_at_a_rate_without_waiting_for_answers() -> None:
    system = Scripted()

    async def never(request: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    system.client = httpx.AsyncClient(transport=httpx.MockTransport(never), base_url="http://scripted")
    work = workload(system)
    with trio.move_on_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work.run)
            while len(work.records.pending) < 10:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert not work.records.pending
    assert work.records.done == []


async def test_equal_seeds_make_equal_requests() -> None:
    kinds = []
    for _ in range(2):
        work = workload(Scripted())
        for _ in range(9):
            await work.send("analysis")
        kinds.append(list(work.acknowledged.numbers))
    assert kinds[0] == kinds[1]
    # Every third repeats an earlier one.
    assert len(kinds[0]) == 6
