"""The error of a timeout of a client or driver that was shortened to the deadline."""

import math

from cqox.errors import DeadlineExceeded
from cqox.resilience.runtime.ambient_deadline import in_force

__all__ = ["expired_deadline"]


def expired_deadline() -> DeadlineExceeded | None:
    """Return the error of a timeout that was shortened to the deadline; None where the deadline has not passed.

    The timeout of an attempt is no deadline: there the exception of the client is the failure.
    """
    deadline = in_force()
    if deadline is None or deadline.attempt_seconds < math.inf or not deadline.passed(deadline.clock()):
        return None
    return DeadlineExceeded(deadline.seconds)
