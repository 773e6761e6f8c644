"""The phases of an experiment, one request after the other, on a system in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from cqox.chaos.experiments import After, Fault, Probe, Target
from cqox.chaos.toolkit import session as module
from cqox.chaos.toolkit.session import Session
from tests.chaos.experiments.scripted import STATUSES, Scripted, experiment

pytestmark = pytest.mark.trio

KILL = Fault(kind="process-kill", target=Target(component="engine"), seconds=0.5)
WHOLE = ("steady", "break 1", "mend 1", "healed", "acknowledged")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system in this process needs less time to show that it is well, or that it is not."""
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.5)
    monkeypatch.setattr(module, "_JOBS_SECONDS", 1.0)


@asynccontextmanager
async def running(system: Scripted, **changes: object) -> AsyncIterator[Session]:
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            session = Session(experiment(**changes), system)
            await nursery.start(session.run)
            yield session
            nursery.cancel_scope.cancel()


async def held(session: Session, *requests: str) -> list[bool]:
    found = []
    for each in requests:
        found.append((await session.answer(each)).holds)
        if each.startswith("break"):
            await trio.sleep(0.3)
    return found


async def test_a_system_that_keeps_its_promises_holds_in_every_phase() -> None:
    seen = Probe(kind="status-seen", parameters={"status": 503})
    after = After(healed_within=30.0)
    async with running(Scripted(), during=(STATUSES, seen), after=after) as session:
        assert await held(session, *WHOLE) == [True] * 5, await session.answer("promises")
        assert await held(session, "steady", "promises") == [True, True]


async def test_a_broken_promise_is_found_after_the_faults_and_not_forgotten() -> None:
    after = After(healed_within=30.0)
    async with running(Scripted(lies=frozenset({"forget-jobs"})), after=after) as session:
        assert await held(session, "promises", *WHOLE, "promises") == [True, True, True, True, True, False, False]
        answer = await session.answer("promises")
    assert "was acknowledged and has not ended: 404" in answer.lines[0]


async def test_what_does_not_heal_in_time_is_found() -> None:
    async with running(Scripted(heals=False)) as session:
        assert (await held(session, *WHOLE[:4]))[-1] is False
        assert any("not well within 2 s" in line for line in (await session.answer("promises")).lines)


async def test_what_must_hold_during_faults_is_judged_by_the_time_of_the_faults_alone() -> None:
    goodput = Probe(kind="goodput", parameters={"at_least": 0.9})
    async with running(Scripted(), during=(goodput,)) as session:
        assert await held(session, "steady", "break 1", "mend 1", "healed") == [True, True, True, False]
        assert "FAILS: during: goodput" in "\n".join((await session.answer("promises")).lines)


async def test_a_steady_state_that_is_none_does_not_hold() -> None:
    async with running(Scripted(lies=frozenset({"teapot"}))) as session:
        assert await held(session, "steady") == [False]


async def test_faults_begin_once_and_end_once_and_all_of_them_at_the_end() -> None:
    system = Scripted()
    async with running(system, faults=(KILL, KILL)) as session:
        assert await held(session, "break 1", "break 1", "break 2", "healed") == [True, False, True, False]
        assert system.is_broken
        assert await held(session, "mend 1", "mend 1", "mend", "mend") == [True, False, True, True]
        assert not system.is_broken


async def test_a_cancellation_takes_every_fault_away() -> None:
    system = Scripted()
    async with running(system) as session:
        assert await held(session, "break 1") == [True]
        assert system.is_broken
    assert not system.is_broken


@pytest.mark.parametrize("request_", ["", "stop", "break", "break 0", "break 2", "break x", "mend -1", "steady 1"])
async def test_an_unknown_request_does_not_hold(request_: str) -> None:
    async with running(Scripted()) as session:
        answer = await session.answer(request_)
    assert not answer.holds
    assert answer.lines[0].startswith("there is no")


async def test_nothing_is_healed_before_it_was_broken() -> None:
    async with running(Scripted()) as session:
        assert await held(session, "healed") == [False]
