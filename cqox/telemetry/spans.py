"""Spans, whether or not anything records them: `with span("read"):`.

What lives here: the one way in which CQOx speaks of spans, and the slot that a recorder fills. What does not:
OpenTelemetry (`recorder`), which is imported only where somebody has asked for traces. While the slot is empty a span
costs one function call and keeps nothing; a request then still has a trace id, for its answer and its log lines.
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
    "fresh_span",
    "is_recording",
    "record_with",
    "server_span",
    "span",
    "span_since",
    "unfinished",
    "waited_for",
]

type Value = str | bool | int | float | Sequence[str]
type Attributes = Mapping[str, Value]
"""Attributes of a span or of an event, by their names in the semantic conventions."""

type SpanKind = Literal["internal", "server", "client"]


class Span(Protocol):
    """One piece of work on its way; a context manager that makes it the current one and ends it.

    An exception that leaves the block is recorded. A cancellation is marked `cqox.cancelled` and is no error.
    """

    @property
    def context(self) -> TraceContext | None:
        """Its ids; None where nothing records and there is no trace."""
        ...

    @property
    def recording(self) -> bool:
        """Whether anybody will see what is said to it."""
        ...

    def rename(self, name: str) -> None:
        """Give it its final name, where that was not known at the start."""
        ...

    def set(self, **attributes: Value) -> None:
        """Add attributes; `__` in a name stands for a dot."""
        ...

    def add(self, attributes: Attributes) -> None:
        """Add attributes by their full names."""
        ...

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Note that something happened now."""
        ...

    def fail(self, kind: str, description: str = "") -> None:
        """Mark it as an error that no exception tells of."""
        ...

    def error(self, error: BaseException) -> None:
        """Record an exception that was dealt with inside."""
        ...

    def cancel(self) -> None:
        """Mark it as cancelled."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class Recorder(Protocol):
    """Makes spans that are kept."""

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
    ) -> Span:
        """A span, child of `parent`, or of the current one; with `root` of neither."""
        ...

    def current(self) -> TraceContext | None:
        """The ids of the current span."""
        ...

    def current_span(self) -> Span:
        """The current span, to say more to it."""
        ...

    def forget(self) -> None:
        """Make no span the current one, for the rest of the calling task."""
        ...

    def adopt(self, told: Mapping[str, object]) -> None:
        """Keep a span that another process made and told of, see `remote`."""
        ...


class _Unrecorded:
    """A span that nobody keeps; one object does for all of them that have no ids."""

    __slots__ = ("_token", "context")

    recording = False

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
"""A span to which anything may be said, and nothing is kept."""
_ids: ContextVar[TraceContext | None] = ContextVar("cqox_trace_ids", default=None)
_awaited: ContextVar[bool] = ContextVar("cqox_task_is_awaited", default=False)
_recorder: Recorder | None = None


def record_with(recorder: Recorder | None) -> Recorder | None:
    """Fill the slot, or empty it with None; returns what was in it."""
    global _recorder
    previous, _recorder = _recorder, recorder
    return previous


def is_recording() -> bool:
    """Whether spans are kept in this process."""
    return _recorder is not None


def span(name: str, attributes: Attributes | None = None, *, kind: SpanKind = "internal") -> Span:
    """A span around a block: `with span("plan") as it:`; child of the current one.

    Args:
        name: what is done; one of a few words, never an id.
        attributes: what is known at the start.
        kind: `client` where another service or a store is asked.
    """
    if _recorder is None:
        return NOTHING
    return _recorder.start(name, kind, attributes)


def server_span(
    name: str, attributes: Attributes | None, *, parent: TraceContext | None, request_id: str, probe: bool = False
) -> Span:
    """The span around the answer to a request; where nothing is recorded it still gives the request its trace id.

    Args:
        name: the method, until the route is known.
        attributes: what is known at the start.
        parent: the caller's context.
        request_id: what a trace id is made of where nobody traces.
        probe: whether it is a probe, of which nobody wants a trace: samplers that heed the caller leave it out.
    """
    if _recorder is None:
        return _Unrecorded(parent or of_request_id(request_id))
    if probe:
        parent = replace(parent or of_request_id(request_id), sampled=False)
    return _recorder.start(name, "server", attributes, parent=parent, root=parent is None)


def span_since(name: str, start_ns: int, attributes: Attributes | None = None) -> None:
    """A span that began at `start_ns`, in nanoseconds since the epoch, and ends now."""
    if _recorder is not None:
        _recorder.start(name, "internal", attributes, start_ns=start_ns).__exit__(None, None, None)


def fresh_span(name: str) -> Span:
    """A span that begins a trace of its own: for what a task does again and again as long as the process lives, whose
    trace would otherwise never end.
    """
    return NOTHING if _recorder is None else _recorder.start(name, "internal", None, root=True)


def unfinished(after: Mapping[str, object]) -> None:
    """Show that a worker process was at work on something when it was ended, of which it never told.

    Args:
        after: the last span that it told of, see `remote`.
    """
    began = after.get("end_ns")
    if _recorder is not None and isinstance(began, int):
        attributes: Attributes = {"cqox.after": str(after.get("name", ""))}
        cut = _recorder.start("unfinished step", "internal", attributes, start_ns=began)
        cut.cancel()
        cut.__exit__(None, None, None)


def current() -> TraceContext | None:
    """The trace and the span that the calling code runs in."""
    if _recorder is not None:
        recorded = _recorder.current()
        if recorded is not None:
            return recorded
    return _ids.get()


def current_span() -> Span:
    """The span that the calling code runs in, to say more to it."""
    return NOTHING if _recorder is None else _recorder.current_span()


def adopt(told: Mapping[str, object]) -> None:
    """Keep a span that a worker process tells of; nothing where no spans are kept."""
    if _recorder is not None:
        _recorder.adopt(told)


@contextmanager
def waited_for() -> Generator[None]:
    """Tasks started inside the block are waited for by the caller, whatever group they run in: their spans are the
    children of its span. For a computation that lives in the app's group because several callers may share it.
    """
    token = _awaited.set(True)
    try:
        yield
    finally:
        _awaited.reset(token)


def awaited() -> bool:
    """Whether the task that begins here was started inside `waited_for`; the answer is given once."""
    if _awaited.get():
        _awaited.set(False)
        return True
    return False


def forget() -> None:
    """Make no span the current one, for the rest of the calling task."""
    _ids.set(None)
    if _recorder is not None:
        _recorder.forget()
