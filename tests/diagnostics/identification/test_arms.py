"""Assumptions on assignment, interference, missing outcomes and dependence."""

from cqox.diagnostics.identification.arms import assigned, no_interference
from tests.diagnostics.identification.judging import judged


def test_the_assignment_is_untested_until_it_is_declared() -> None:
    unknown = assigned(judged("aipw", "doubly_robust"), "treatment")
    assert (unknown.name, unknown.status, unknown.caps) == ("unconfounded", "untested", True)
    trial = assigned(judged("aipw", "doubly_robust", assignment="randomized"), "treatment")
    assert (trial.name, trial.status) == ("randomized", "declared")
    adjusted = assigned(judged("aipw", "doubly_robust", assignment="unconfounded"), "treatment")
    assert (adjusted.name, adjusted.status) == ("unconfounded", "declared")


def test_interference_that_cannot_be_seen_does_not_cap() -> None:
    entry = no_interference(judged("aipw", "doubly_robust"))
    assert (entry.status, entry.caps) == ("untested", False)
