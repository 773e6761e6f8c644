"""Keep the memory and the environment of a process from other processes of its user."""

import ctypes

__all__ = ["refuse_dumps"]

_PR_SET_DUMPABLE = 4


def refuse_dumps() -> bool:
    """Allow no core file, no debugger but root's, and nobody else at /proc/PID/environ and mem.

    Returns:
        Whether that is in force; only Linux knows it.
    """
    control = getattr(ctypes.CDLL(None), "prctl", None)
    return control is not None and bool(control(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
