"""A server ends with the test process, also where that is killed."""

import ctypes
import sys
from collections.abc import Callable

__all__ = ["ending_with_parent"]

_PR_SET_PDEATHSIG = 1


def ending_with_parent(number: int) -> Callable[[], None] | None:
    """Return a `preexec_fn` for `Popen` that has the child sent a signal when its parent is gone."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, number)
