"""Timeouts of clients that are those of the deadline, and others."""

from cqox.errors import DeadlineExceeded
from cqox.resilience import Policy, Timeout, deadline
from cqox.resilience.adapters.spent_deadline import expired_deadline
from cqox.resilience.testing import FakeClock


def test_the_timeout_of_one_attempt_is_no_deadline_that_has_passed() -> None:
    clock = FakeClock()
    found: list[DeadlineExceeded | None] = []

    def late() -> None:
        found.append(expired_deadline())
        clock.advance(3.0)
        found.append(expired_deadline())

    with deadline(3.0, clock=clock):
        late()
    Policy("attempt", Timeout(3.0, clock=clock)).call(late)
    assert [None if error is None else error.seconds for error in found] == [None, 3.0, None, None]
    assert expired_deadline() is None
