"""Protection of a process's memory and environment from other processes of the same user."""

import ctypes

__all__ = ["refuse_dumps"]

_PR_SET_DUMPABLE = 4


def refuse_dumps() -> bool:
    """Disable core dumps, and debuggers and access to /proc/PID/environ and mem for all users but root.

    Returns:
        Whether the protection is in force; only Linux supports it.
    """
    control = getattr(ctypes.CDLL(None), "prctl", None)
    return control is not None and bool(control(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
