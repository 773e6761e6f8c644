"""Span API: `with span("read"):`, recorded or not.

Defines the span interface of CQOx and the slot for a recorder. OpenTelemetry lives in `recorder`, which is imported
only if traces are exported. Without a recorder a span costs one function call and keeps nothing; a request still has a
trace id for its response and its log lines.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import replace
from types import TracebackType
from typing import Literal, Protocol, Self

from cqox.telemetry.context import TraceContext, of_request_id

__all__ = [
    "NOTHING",
    "Attributes",
    "Recorder",
    "Span",
    "adopt",
    "awaited",
    "current",
    "current_span",
    "forget",
    "is_recording",
    "record_with",
    "server_span",
    "span",
    "span_since",
    "unfinished",
    "untraced",
    "waited_for",
]

type Value = str | bool | int | float | Sequence[str]
type Attributes = Mapping[str, Value]
"""Attributes of a span or an event, by their names in the semantic conventions."""

type SpanKind = Literal["internal", "server", "client"]


class Span(Protocol):
    """Span of one operation; a context manager that makes it the current span and ends it.

    An exception that leaves the block is recorded. A cancellation sets `cqox.cancelled` and is not an error.
    """

    @property
    def context(self) -> TraceContext | None:
        """Ids of the span; None without a recorder and a trace."""
        ...

    @property
    def recording(self) -> bool:
        """True if attributes and events are recorded."""
        ...

    @property
    def silent(self) -> bool:
        """True if neither it nor what happens inside it is ever recorded."""
        ...

    def rename(self, name: str) -> None:
        """Set the final name, if it was not known at the start."""
        ...

    def set(self, **attributes: Value) -> None:
        """Add attributes; `__` in a name means a dot."""
        ...

    def add(self, attributes: Attributes) -> None:
        """Add attributes by their full names."""
        ...

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Add an event."""
        ...

    def fail(self, kind: str, description: str = "") -> None:
        """Set the error status without an exception."""
        ...

    def error(self, error: BaseException) -> None:
        """Record an exception that was handled inside the block."""
        ...

    def cancel(self) -> None:
        """Mark the span as cancelled."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class Recorder(Protocol):
    """Factory of recorded spans."""

    def start(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes | None,
        *,
        parent: TraceContext | None = None,
        root: bool = False,
        link: TraceContext | None = None,
        start_ns: int | None = None,
        silent: bool = False,
    ) -> Span:
        """Start a span as a child of `parent` or of the current span; with `root`, as a root span.

        With `silent`, and inside such a span, nothing is recorded, whatever the sampler says.
        """
        ...

    def current(self) -> TraceContext | None:
        """Return the ids of the current span."""
        ...

    def current_span(self) -> Span:
        """Return the current span."""
        ...

    def forget(self) -> None:
        """Clear the current span for the rest of the calling task."""
        ...

    def adopt(self, record: Mapping[str, object]) -> None:
        """Record a span reported by another process, see `remote`."""
        ...


class _Unrecorded:
    """No-op span; one object serves all spans without ids."""

    __slots__ = ("_token", "context")

    recording = False
    silent = False

    def __init__(self, context: TraceContext | None) -> None:
        self.context = context
        self._token: Token[TraceContext | None] | None = None

    def rename(self, name: str) -> None:
        pass

    def set(self, **attributes: Value) -> None:
        pass

    def add(self, attributes: Attributes) -> None:
        pass

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        pass

    def fail(self, kind: str, description: str = "") -> None:
        pass

    def error(self, error: BaseException) -> None:
        pass

    def cancel(self) -> None:
        pass

    def __enter__(self) -> Self:
        if self.context is not None:
            self._token = _ids.set(self.context)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            _ids.reset(self._token)
            self._token = None


NOTHING: Span = _Unrecorded(None)
"""No-op span without ids."""
_ids: ContextVar[TraceContext | None] = ContextVar("cqox_trace_ids", default=None)
_awaited: ContextVar[bool] = ContextVar("cqox_task_is_awaited", default=False)
_recorder: Recorder | None = None


def record_with(recorder: Recorder | None) -> Recorder | None:
    """Set the recorder, or remove it with None; return the previous one."""
    global _recorder
    previous, _recorder = _recorder, recorder
    return previous


def is_recording() -> bool:
    """Return whether spans are recorded in this process."""
    return _recorder is not None


def span(name: str, attributes: Attributes | None = None, *, kind: SpanKind = "internal") -> Span:
    """Create a span around a block: `with span("plan") as it:`; child of the current span.

    Args:
        name: name of the operation, of low cardinality.
        attributes: initial attributes.
        kind: `client` for a call of another service or store.
    """
    if _recorder is None:
        return NOTHING
    return _recorder.start(name, kind, attributes)


def server_span(
    name: str, attributes: Attributes | None, *, parent: TraceContext | None, request_id: str, probe: bool = False
) -> Span:
    """Create the server span of a request; without a recorder it still provides the trace id.

    Args:
        name: the method, until the route is known.
        attributes: initial attributes.
        parent: context of the caller.
        request_id: source of the trace id if the request is not traced.
        probe: True for what is asked for too often to trace, such as health; it is not recorded.
    """
    if _recorder is None:
        return _Unrecorded(parent or of_request_id(request_id))
    if probe:
        parent = replace(parent or of_request_id(request_id), sampled=False)
    return _recorder.start(name, "server", attributes, parent=parent, root=parent is None, silent=probe)


def span_since(name: str, start_ns: int, attributes: Attributes | None = None) -> None:
    """Record a span that began at `start_ns`, in nanoseconds since the epoch, and ends now."""
    if _recorder is not None:
        _recorder.start(name, "internal", attributes, start_ns=start_ns).__exit__(None, None, None)


def untraced(name: str) -> Span:
    """Create a span that is not recorded, nor anything inside it, for work that repeats every few seconds.

    Tasks that are started inside it are not recorded either, wherever they run.
    """
    return NOTHING if _recorder is None else _recorder.start(name, "internal", None, root=True, silent=True)


def unfinished(after: Mapping[str, object]) -> None:
    """Record a span for the step that a worker process was running when it was terminated.

    Args:
        after: last span that the worker reported, see `remote`.
    """
    began = after.get("end_ns")
    if _recorder is not None and isinstance(began, int):
        attributes: Attributes = {"cqox.after": str(after.get("name", ""))}
        cut = _recorder.start("unfinished step", "internal", attributes, start_ns=began)
        cut.cancel()
        cut.__exit__(None, None, None)


def current() -> TraceContext | None:
    """Return the context of the current span."""
    if _recorder is not None:
        recorded = _recorder.current()
        if recorded is not None:
            return recorded
    return _ids.get()


def current_span() -> Span:
    """Return the current span."""
    return NOTHING if _recorder is None else _recorder.current_span()


def adopt(record: Mapping[str, object]) -> None:
    """Record a span reported by a worker process, if spans are recorded."""
    if _recorder is not None:
        _recorder.adopt(record)


@contextmanager
def waited_for() -> Generator[None]:
    """Mark tasks started inside the block as awaited by the caller: their spans become children of its span.

    For a computation that runs in the app's task group because several callers may share it.
    """
    token = _awaited.set(True)
    try:
        yield
    finally:
        _awaited.reset(token)


def awaited() -> bool:
    """Return whether the starting task was started inside `waited_for`, and clear the mark."""
    if _awaited.get():
        _awaited.set(False)
        return True
    return False


def forget() -> None:
    """Clear the current span for the rest of the calling task."""
    _ids.set(None)
    if _recorder is not None:
        _recorder.forget()
