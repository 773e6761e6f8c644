"""One run: its phases, what it measures, and that each broken promise is found."""

from pathlib import Path

import pytest
import trio

from cqox.chaos.experiments import After, Probe, SteadyState
from cqox.chaos.experiments import runner as module
from cqox.chaos.experiments.runner import Outcome, run_experiment
from tests.chaos.experiments.scripted import GOODPUT, STATUSES, Scripted, experiment

pytestmark = pytest.mark.trio


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system in this process needs less time to show that it is well, or that it is not."""
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.5)
    monkeypatch.setattr(module, "_JOBS_SECONDS", 1.0)


async def ran(system: Scripted, tmp_path: Path, **changes: object) -> Outcome:
    with trio.fail_after(60):
        return await run_experiment(experiment(**changes), system.open, tmp_path, say=lambda line: None)


async def test_a_system_that_keeps_its_promises_holds_and_its_recovery_is_measured(tmp_path: Path) -> None:
    found = await ran(
        Scripted(),
        tmp_path,
        during=(
            STATUSES,
            Probe(kind="status-seen", parameters={"status": 503}),
            Probe(kind="degraded", parameters={"component": "engine", "name": "results"}),
            Probe(kind="log", parameters={"component": "engine", "has": "broken"}),
        ),
    )
    assert found.held, found
    assert found.recovery_seconds is not None
    assert found.violations == ()
    assert found.reports > 0
    assert set(found.jobs) == {"succeeded"}
    ((begin, end),) = found.faults
    assert 1.0 <= begin < end
    assert sum(second.sent for second in found.seconds) > 40
    assert any(503 in second.failures for second in found.seconds)


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        ("forget-jobs", "was acknowledged and has not ended: 404"),
        ("other-numbers", "has other numbers than an equal request"),
        ("other-bytes", "an answer to POST /api/analyze/comprehensive differs from its Content-Digest"),
        ("two-jobs", "has two jobs"),
        ("lose-reports", "was acknowledged as stored and cannot be read: 404"),
        ("no-end", "was acknowledged and has not ended: running"),
    ],
)
async def test_every_broken_promise_is_found(lie: str, said: str, tmp_path: Path) -> None:
    found = await ran(
        Scripted(lies=frozenset({lie})),
        tmp_path,
        steady_state=SteadyState(seconds=1.0, probes=(Probe(kind="goodput", parameters={"at_least": 0.0}),)),
    )
    assert not found.held
    assert any(said in each for each in found.violations), found.violations


async def test_a_system_that_is_not_steady_is_not_broken(tmp_path: Path) -> None:
    system = Scripted(lies=frozenset({"teapot"}))
    found = await ran(system, tmp_path)
    assert (found.held, found.faults, system.number) == (False, (), 1)
    assert [result.holds for result in found.results if result.phase == "steady"] == [False]


async def test_a_request_of_the_steady_state_that_fails_late_counts(tmp_path: Path) -> None:
    found = await ran(Scripted(lies=frozenset({"late"})), tmp_path)
    assert (found.held, found.faults) == (False, ())
    (steady,) = (result for result in found.results if result.phase == "steady")
    assert "504 deadline-exceeded" in steady.found


async def test_a_system_that_does_not_heal_in_time_fails(tmp_path: Path) -> None:
    found = await ran(Scripted(heals=False), tmp_path, after=After(healed_within=0.5))
    assert not found.held
    assert found.recovery_seconds is None
    assert any(result.probe == "healed" and not result.holds for result in found.results)


@pytest.mark.parametrize("patience", [0.0, 100.0])
async def test_a_system_that_is_slow_before_the_fault_is_noted(
    patience: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", patience)
    found = await ran(Scripted(), tmp_path, after=After(healed_within=1.0))
    slow = [
        note for note in found.notes if note.endswith(f"requests took longer than {patience:g} s before the fault.")
    ]
    assert len(slow) == (patience == 0.0)


async def test_a_probe_that_does_not_hold_during_the_fault_fails_the_experiment(tmp_path: Path) -> None:
    found = await ran(Scripted(), tmp_path, during=(GOODPUT,))
    assert not found.held
    assert found.violations == ()
    assert [result.holds for result in found.results if result.phase == "during"] == [False]


async def test_a_status_outside_the_contract_is_found(tmp_path: Path) -> None:
    found = await ran(Scripted(status=418), tmp_path)
    assert {result.phase for result in found.results if not result.holds} == {"during", "always"}


async def test_what_cannot_be_had_here_is_said_and_what_breaks_the_run_itself_is_a_failure(tmp_path: Path) -> None:
    found = await ran(Scripted(unusable="there is no vault"), tmp_path)
    assert (found.held, found.skipped) == (False, "there is no vault")
    system = Scripted()
    system.log = lambda component: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    found = await ran(system, tmp_path)
    assert (found.held, found.skipped) == (False, "")
    assert "ZeroDivisionError" in found.results[0].found
