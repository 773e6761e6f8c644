"""Spans of a worker process, as frames: what the worker tells and the engine keeps. Loads no OpenTelemetry.

A worker is handed the context of the span that waits for it, tells of each step when it is over, and never exports
anything: its telemetry ends with it, however it ends, and costs it a few microseconds a step.
"""

import time
from collections.abc import Callable, Mapping

from cqox.telemetry.context import parse

__all__ = ["step_spans"]

type Tell = Callable[[dict[str, object]], None]

_SHOWN = ("contrast", "status", "rows", "contrasts")


def step_spans(traceparent: object, tell: Tell, *, now_ns: Callable[[], int] = time.time_ns) -> Tell | None:
    """What turns each step that a task reports into a span that ends now; None where nobody records.

    Args:
        traceparent: the context that came with the task.
        tell: sends a span to the engine.
        now_ns: nanoseconds since the epoch.
    """
    parent = parse(traceparent) if isinstance(traceparent, str) else None
    if parent is None or not parent.sampled:
        return None

    def step(body: Mapping[str, object]) -> None:
        name, seconds = body.get("step"), body.get("seconds")
        if not isinstance(name, str) or not isinstance(seconds, float | int):
            return
        end = now_ns()
        told: dict[str, object] = {
            "name": name,
            "parent": parent.traceparent,
            "start_ns": end - int(seconds * 1e9),
            "end_ns": end,
            "attributes": {f"cqox.{key}": body[key] for key in _SHOWN if body.get(key) is not None},
        }
        if body.get("status") == "failed":
            told |= {"error": "estimator_failed", "description": str(body.get("reason") or "")}
        tell(told)

    return step
