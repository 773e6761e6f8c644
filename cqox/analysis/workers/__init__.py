"""Worker processes: warm, killable, with resource limits, one task at a time.

Each name is loaded at first use: a worker process is in this package too, and needs neither pool nor event loop.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cqox.analysis.workers.failures import TaskFailed
    from cqox.analysis.workers.limits import ProcessLimits
    from cqox.analysis.workers.pool import WorkerPool
    from cqox.analysis.workers.reply import Reply
    from cqox.analysis.workers.worker import Progress, Serve

__all__ = ["ProcessLimits", "Progress", "Reply", "Serve", "TaskFailed", "WorkerPool"]

_MODULES = {
    "ProcessLimits": "limits",
    "Progress": "worker",
    "Reply": "reply",
    "Serve": "worker",
    "TaskFailed": "failures",
    "WorkerPool": "pool",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"{__name__}.{name}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found
