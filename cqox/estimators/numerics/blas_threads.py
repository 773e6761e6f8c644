"""A single BLAS thread while an estimator's row passes use the cores.

A BLAS with threads of its own, in addition to those of a pass, oversubscribes the cores. The threads wait for each
other, and BLAS threads spin after each call: on two cores this takes 1.2 to 1.5 times as long.
"""

import sys
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]


def one_blas_thread() -> AbstractContextManager[object]:
    """Run BLAS calls inside the context on the calling thread only.

    The setting is per process. If several threads enter at a time, threadpoolctl (since 3.8) lets the first set and
    restore it and ignores the others, whose passes may then be slower.
    """
    limit: AbstractContextManager[object] = _controller("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")
    return limit


@cache
def _controller(with_scipy: bool) -> "ThreadpoolController":
    """Return the controller, created once: scanning the loaded libraries takes a millisecond. numpy's is loaded by now,
    and scipy's, which is another one, once an estimator has needed it."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
