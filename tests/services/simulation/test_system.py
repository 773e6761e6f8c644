"""The gateway, engines and clients under simulation; `make simulate` runs ten thousand seeds."""

import os

from cqox.chaos.simulation.runner import Task, run_all
from services.simulation.system import CqoxSystem
from tests.services.simulation.conftest import FOLDER


def test_what_is_prepared_leaves_the_environment_of_the_process_alone(system: CqoxSystem) -> None:
    before = dict(os.environ)
    system.prepare(FOLDER)
    assert dict(os.environ) == before


def test_a_run_without_faults_answers_everything(system: CqoxSystem) -> None:
    (outcome,) = run_all(system, [Task(seed=5, minutes=3, only=())])
    assert outcome.violations == ()
    assert outcome.faults == ()
    assert outcome.events > 100


def test_a_seed_is_the_same_run_in_another_process(system: CqoxSystem) -> None:
    tasks = [Task(seed=seed, minutes=3) for seed in range(3)]
    first, second = (sorted(run_all(system, tasks, jobs=2), key=lambda each: each.seed) for _ in range(2))
    assert [outcome.violations for outcome in first] == [()] * 3
    assert [outcome.digest for outcome in first] == [outcome.digest for outcome in second]
