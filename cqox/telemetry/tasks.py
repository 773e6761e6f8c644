"""Task spans: an observer for `cqox.tasks` that records each task as a span.

A task's span is a child of the starter's span. A detached task may outlive its starter: its span is the root of a new
trace with a link to the starter, unless the starter awaits the task (`waited_for`).
"""

from collections.abc import Callable

from cqox import randomness
from cqox.tasks import TaskEnd, TaskOutcome, TaskStart
from cqox.telemetry.spans import Recorder, awaited, forget

__all__ = ["TaskSpans"]


class TaskSpans:
    """Task observer that records each task as a span.

    Args:
        recorder: recorder of the spans.
        ratio: share of tasks that get a span, from 0 to 1. Spans inside a task without one are children of its
            starter's.
        draw: random number from 0 to 1, drawn per task.
    """

    def __init__(self, recorder: Recorder, *, ratio: float = 1.0, draw: Callable[[], float] = randomness.unit) -> None:
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"ratio must be from 0 to 1, not {ratio!r}")
        self._recorder = recorder
        self._ratio = ratio
        self._draw = draw

    def __call__(self, task: TaskStart, /) -> TaskEnd:
        """Start the span of `task`; called inside the task."""
        detached = task.detached and not awaited()
        # What no trace shows starts no trace of its own.
        silent = detached and self._recorder.current_span().silent
        starter = self._recorder.current() if detached and not silent else None
        if not silent and self._ratio < 1.0 and self._draw() >= self._ratio:
            if detached:
                forget()
            return _nothing
        attributes = {"cqox.task.group": task.group} if task.group else None
        span = self._recorder.start(task.name, "internal", attributes, root=detached, link=starter, silent=silent)
        span.__enter__()

        def ended(outcome: TaskOutcome, error: BaseException | None) -> None:
            # The outcome comes from `cqox.tasks`, which knows the cancellation class of the event loop.
            if outcome is TaskOutcome.CANCELLED:
                span.cancel()
            span.set(cqox__task__outcome=outcome.value)
            span.__exit__(None if error is None else type(error), error, None)

        return ended


def _nothing(outcome: TaskOutcome, error: BaseException | None) -> None:
    pass
