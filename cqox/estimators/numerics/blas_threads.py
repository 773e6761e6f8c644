"""One BLAS thread while an estimator's row passes use the cores.

A BLAS that starts threads of its own beside those of a pass has twice as many as there are cores. They wait for each
other, and those of the BLAS go on spinning after each call: on two cores 1.2 to 1.5 times the time of the work.
"""

from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]


def one_blas_thread() -> AbstractContextManager[object]:
    """Within it, what the BLAS computes it computes on the thread that asks.

    The setting is the process's. Of several threads that ask at a time, threadpoolctl (from 3.8 on) lets one set it and
    put it back; it does nothing for the others, whose passes may then be slower.
    """
    limit: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limit


@cache
def _controller() -> "ThreadpoolController":
    """Found once, for looking through the libraries of the process takes a millisecond; numpy's is there by now."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
