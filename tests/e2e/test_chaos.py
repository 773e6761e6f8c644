"""One short chaos experiment on real processes; `make chaos` runs all of them."""

from pathlib import Path

import pytest

from cqox.chaos.experiments import After, Fault, Load, Needs, Probe, SteadyState, Target
from cqox.chaos.experiments.ownership import start_of
from cqox.chaos.experiments.runner import run_experiment
from tests.chaos.experiments.scripted import experiment
from tests.chaos.system import open_system

SHORT = experiment(
    needs=Needs(engines=1),
    load=Load(per_second=8, mix={"analysis": 0.5, "job": 0.3, "stored": 0.1, "health": 0.1}),
    steady_state=SteadyState(seconds=1.0, probes=(Probe(kind="goodput", parameters={"at_least": 1.0}),)),
    faults=(Fault(kind="process-kill", target=Target(component="worker", mode="all"), seconds=1.0),),
    during=(
        Probe(kind="statuses"),
        Probe(kind="deadlines", parameters={"slack": 2.0}),
        Probe(kind="same-process", parameters={"component": "engine"}),
    ),
    after=After(healed_within=60.0),
)


@pytest.mark.trio
async def test_killed_workers_are_replaced_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    found = await run_experiment(SHORT, open_system, tmp_path, say=lambda line: None)
    assert found.held, (found.results, found.violations)
    assert found.reports > 0
    assert found.jobs["succeeded"] > 0


@pytest.mark.trio
async def test_a_run_that_fails_leaves_no_process_behind(tmp_path: Path) -> None:
    started: list[int] = []

    async def fail() -> None:
        async with open_system(SHORT, tmp_path) as system:
            started.extend([*system.roots("gateway"), *system.roots("engine")])
            raise LookupError("as if the run failed")

    with pytest.RaisesGroup(LookupError, flatten_subgroups=True, allow_unwrapped=True):
        await fail()
    assert len(started) == 2
    assert [start_of(pid) for pid in started] == [None, None]
