"""The record of a classification."""

from cqox.resilience.retry.failure import Failure, Kind, Sent, known


def test_a_known_failure_is_transient_unless_that_is_said() -> None:
    assert known(Kind.HTTP, Sent.NEVER) == Failure(kind=Kind.HTTP, transient=True, sent=Sent.NEVER)
    assert not known(Kind.HTTP, Sent.MAYBE, transient=False).transient
