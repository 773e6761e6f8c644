"""Worker processes: killable, warm, bounded, one task at a time."""

from cqox.analysis.workers.pool import WorkerPool
from cqox.analysis.workers.process import Progress, Reply, TaskFailed

__all__ = ["Progress", "Reply", "TaskFailed", "WorkerPool"]
