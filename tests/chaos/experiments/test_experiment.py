"""Properties of an experiment."""

from cqox.chaos.experiments import Fault, Target
from tests.chaos.experiments.scripted import experiment


def test_a_target_is_named_as_it_is_written() -> None:
    assert Target(component="engine").name == "engine"
    assert Target(component="engine", source="gateway").name == "gateway->engine"


def test_the_faults_last_until_the_last_one_ends() -> None:
    target = Target(component="engine")
    faults = (
        Fault(kind="process-kill", target=target, seconds=6),
        Fault(kind="process-pause", target=target, seconds=3, begin=5),
    )
    assert experiment(faults=faults).fault_seconds == 8
