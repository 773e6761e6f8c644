"""Errors of tasks, as the frames of a worker describe them."""

import logging

import cqox.errors
from cqox.analysis.workers.protocol import Frame
from cqox.contract.messages import Message, message_from
from cqox.errors import CqoxError, InputError, LimitExceeded, SourceDown, StorageFull, StoreUnavailable

__all__ = ["TaskFailed", "raised"]

_logger = logging.getLogger("cqox.analysis.workers")


class TaskFailed(CqoxError):
    """A task raised an unexpected exception; the traceback is in the log."""


class _InWorker(Exception):
    """Traceback of a worker as text, for the log, which displays an exception on separate lines."""


def raised(name: str, frame: Frame) -> Exception:
    """Return the exception that a task has raised; one that is unexpected is logged.

    Args:
        name: the task.
        frame: the frame `error` of its worker.
    """
    kind, detail = str(frame.body["error"]), str(frame.body["detail"])
    if kind == "MemoryError":
        return LimitExceeded(Message("analysis.out-of-memory"))
    if kind == "FileTooLarge":
        return LimitExceeded(Message("analysis.file-too-large"))
    if kind in ("StoreUnavailable", "StorageFull"):
        return StorageFull(detail) if kind == "StorageFull" else StoreUnavailable(detail)
    message = frame.body.get("message")
    sentence = message_from(message["code"], message["params"], detail) if isinstance(message, dict) else detail
    if kind == "SourceDown":
        return SourceDown(sentence)
    known = getattr(cqox.errors, kind, None)
    if isinstance(known, type) and issubclass(known, InputError):
        choices = frame.body.get("choices")
        return known(
            sentence,
            field=str(frame.body.get("field", "")),
            choices=[str(choice) for choice in choices] if isinstance(choices, list) else [],
        )
    _logger.error("The task %s failed in its worker.", name, exc_info=_InWorker(detail))
    return TaskFailed(Message("analysis.task-failed", error=kind))
