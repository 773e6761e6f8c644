from dataclasses import asdict
from json import dumps

from cqox.chaos.simulation.runner import Outcome, Task, run_all, run_here, shrink
from tests.chaos.simulation.toy import Toy


def outcomes(*seeds: int, jobs: int = 1) -> dict[int, Outcome]:
    tasks = [Task(seed=seed, minutes=4) for seed in seeds]
    return {outcome.seed: outcome for outcome in run_all(Toy(), tasks, jobs=jobs)}


def test_each_seed_runs_in_a_process_of_its_own_with_the_same_digest_as_here() -> None:
    found = outcomes(1, 2, 5, jobs=2)
    assert sorted(found) == [1, 2, 5]
    assert all(one.is_clean for one in found.values())
    assert {seed: one.digest for seed, one in found.items()} == {
        seed: run_here(Toy(), Task(seed=seed, minutes=4)).digest for seed in (1, 2, 5)
    }
    assert len({one.digest for one in found.values()}) == 3


def test_a_violation_comes_with_the_last_events_and_the_faults() -> None:
    outcome = outcomes(3)[3]
    assert outcome.violations == ("240.000 s: it forgot",)
    assert "VIOLATION" in outcome.last[-1]
    assert outcome.faults[0].startswith("fault 0: loss at 0.")
    assert Outcome.from_json(dumps(asdict(outcome)).encode()) == outcome


def test_a_run_that_ends_with_an_error_is_a_violation_with_its_trace() -> None:
    outcome = outcomes(666)[666]
    assert outcome.violations == ("the run ended with RuntimeError: the harness is broken",)
    assert outcome.digest == ""
    assert any("toy.py" in line for line in outcome.last)


def test_shrinking_leaves_the_faults_that_it_takes() -> None:
    left, shrunk = shrink(Toy(), outcomes(13)[13])
    assert left == (1, 3)
    assert len(shrunk.faults) == 2
    assert shrunk.violations == ("240.000 s: it forgot",)
