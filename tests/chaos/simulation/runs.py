"""Runs of the system for tests, in a process that may have a mutant."""

from cqox.chaos.simulation.runner import Task, run_here
from tests.chaos.simulation.toy import Toy


def violated(seed: int) -> bool:
    """Return whether a run of the seed violates something."""
    return not run_here(Toy(), Task(seed=seed, minutes=4)).is_clean
