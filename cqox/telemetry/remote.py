"""Spans of worker processes, sent to the engine as frames. Loads no OpenTelemetry.

A worker receives the context of its parent span, reports each finished step and, as one event, what it skipped. It
exports nothing itself: its telemetry cannot outlive it, and costs a few microseconds per step.
"""

import time
from collections.abc import Callable, Mapping

from cqox.telemetry.context import parse

__all__ = ["step_spans"]

type Send = Callable[[dict[str, object]], None]

_ESTIMATE = "estimate."
_SKIPPED = "estimators skipped"
_SHOWN = ("contrast", "status", "rows", "contrasts")


def step_spans(traceparent: object, send: Send, *, now_ns: Callable[[], int] = time.time_ns) -> Send | None:
    """Return a reporter that turns each finished step into a span that ends now; None if spans are not recorded.

    Args:
        traceparent: context received with the task.
        send: function that sends a span to the engine.
        now_ns: nanoseconds since the epoch.
    """
    parent = parse(traceparent) if isinstance(traceparent, str) else None
    if parent is None or not parent.sampled:
        return None

    skipped: list[str] = []

    def step(body: Mapping[str, object]) -> None:
        name, seconds = body.get("step"), body.get("seconds")
        if isinstance(name, str) and body.get("status") == "skipped":
            skipped.append(name.removeprefix(_ESTIMATE))
            return
        if not isinstance(name, str) or not isinstance(seconds, float | int):
            return
        end = now_ns()
        if skipped and not name.startswith(_ESTIMATE):
            # Spans of what was not computed would hide those of what was.
            named: list[str] = list(dict.fromkeys(skipped))
            send({"event": _SKIPPED, "name": _SKIPPED, "end_ns": end, "attributes": {"cqox.estimators": named}})
            skipped.clear()
        record: dict[str, object] = {
            "name": name,
            "parent": parent.traceparent,
            "start_ns": end - int(seconds * 1e9),
            "end_ns": end,
            "attributes": {f"cqox.{key}": body[key] for key in _SHOWN if body.get(key) is not None},
        }
        if body.get("status") == "failed":
            record |= {"error": "estimator_failed", "description": str(body.get("reason") or "")}
        send(record)

    return step
