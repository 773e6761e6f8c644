"""Worker processes: warm, killable, with resource limits, one task at a time."""

from cqox.analysis.workers.limits import ProcessLimits
from cqox.analysis.workers.pool import WorkerPool
from cqox.analysis.workers.process import Progress, TaskFailed
from cqox.analysis.workers.reply import Reply

__all__ = ["ProcessLimits", "Progress", "Reply", "TaskFailed", "WorkerPool"]
