"""Every task a span: fills the observer slot of `cqox.tasks`.

A task's span is the child of its starter's. A detached task may outlive whoever started it: its span begins a trace of
its own that links to the starter, unless the starter says that it waits for it (`waited_for`).
"""

import random
from collections.abc import Callable

from cqox.tasks import TaskEnd, TaskOutcome, TaskStart
from cqox.telemetry.spans import Recorder, awaited, forget

__all__ = ["TaskSpans"]


class TaskSpans:
    """A task observer that records each task as a span.

    Args:
        recorder: where spans are kept.
        ratio: the share of tasks that get one, from 0 to 1. Spans inside of a task that got none are children of its
            starter's.
        draw: a number from 0 to 1, drawn for each task.
    """

    def __init__(self, recorder: Recorder, *, ratio: float = 1.0, draw: Callable[[], float] = random.random) -> None:
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"ratio must be from 0 to 1, not {ratio!r}")
        self._recorder = recorder
        self._ratio = ratio
        self._draw = draw

    def __call__(self, task: TaskStart, /) -> TaskEnd:
        """Begin the span of `task`, inside of it."""
        detached = task.detached and not awaited()
        starter = self._recorder.current() if detached else None
        if self._ratio < 1.0 and self._draw() >= self._ratio:
            if detached:
                forget()
            return _nothing
        attributes = {"cqox.task.group": task.group} if task.group else None
        span = self._recorder.start(task.name, "internal", attributes, root=detached, link=starter)
        span.__enter__()

        def ended(outcome: TaskOutcome, error: BaseException | None) -> None:
            # The outcome is the event loop's word; `cqox.tasks` knows its cancellations best.
            if outcome is TaskOutcome.CANCELLED:
                span.cancel()
            span.set(cqox__task__outcome=outcome.value)
            span.__exit__(None if error is None else type(error), error, None)

        return ended


def _nothing(outcome: TaskOutcome, error: BaseException | None) -> None:
    pass
