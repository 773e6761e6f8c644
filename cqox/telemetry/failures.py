"""Bounded snapshot of an exception for logging, and its rendering as a traceback.

A snapshot holds code objects and text but no frames or locals, so it keeps no objects alive and takes well below a
millisecond. Source lines are read when it is rendered.
"""

import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import CodeType, TracebackType

from cqox.telemetry.texts import Clipped, clipped, safe_str

__all__ = ["Failure", "failure_of", "text_of", "traceback_of"]

_MOST_EXCEPTIONS = 24
_MOST_PARTS = 8
_MOST_NOTES = 8
_FIRST_FRAMES, _LAST_FRAMES = 12, 24
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Snapshot of an exception with its cause or context.

    Attributes:
        kind: qualified name of the class.
        message: text of the exception.
        notes: its `__notes__`.
        frames: code, line and instruction of each frame, outermost first.
        missing: number of frames omitted after the first ones.
        before: cause or context; None if there is none.
        is_cause: True if `before` is the cause.
        forgets: True if earlier exceptions are omitted.
        parts: exceptions of a group.
        parts_missing: number of omitted exceptions of the group.
        size: approximate size in characters.
    """

    kind: str
    message: Clipped
    notes: tuple[Clipped, ...]
    frames: tuple[tuple[CodeType, int | None, int], ...]
    missing: int
    before: "Failure | None"
    is_cause: bool
    forgets: bool
    parts: "tuple[Failure, ...]"
    parts_missing: int
    size: int


def failure_of(exc_info: object) -> Failure | None:
    """Take a snapshot of an `exc_info`, in any form that the standard library accepts."""
    error = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) == 3 else exc_info
    if error is True:
        error = sys.exception()
    return _Copier().copy(error) if isinstance(error, BaseException) else None


class _Copier:
    def __init__(self) -> None:
        self._seen: set[int] = set()

    def copy(self, error: BaseException) -> Failure:
        self._seen.add(id(error))
        cause, context = error.__cause__, error.__context__
        before = cause if cause is not None else None if error.__suppress_context__ else context
        earlier = None if before is None else self._next(before)
        parts: list[Failure] = []
        if isinstance(error, BaseExceptionGroup):
            parts = [copy for part in error.exceptions[:_MOST_PARTS] if (copy := self._next(part)) is not None]
        message, notes = clipped(safe_str(error)), tuple(_notes(error))
        frames, missing = _frames(error.__traceback__)
        below = [*parts, *([] if earlier is None else [earlier])]
        return Failure(
            kind=_kind(type(error)),
            message=message,
            notes=notes,
            frames=frames,
            missing=missing,
            before=earlier,
            is_cause=cause is not None,
            forgets=before is not None and earlier is None,
            parts=tuple(parts),
            parts_missing=len(error.exceptions) - len(parts) if isinstance(error, BaseExceptionGroup) else 0,
            size=sum(len(text.text) for text in (message, *notes)) + 100 * len(frames) + sum(one.size for one in below),
        )

    def _next(self, error: BaseException) -> Failure | None:
        if id(error) in self._seen or len(self._seen) >= _MOST_EXCEPTIONS:
            return None
        return self.copy(error)


def _kind(of: type[BaseException]) -> str:
    return of.__qualname__ if of.__module__ in ("builtins", "__main__") else f"{of.__module__}.{of.__qualname__}"


def _notes(error: BaseException) -> Iterator[Clipped]:
    notes = getattr(error, "__notes__", ())
    for note in notes[:_MOST_NOTES] if isinstance(notes, list | tuple) else ():
        yield clipped(safe_str(note))


def _frames(last: TracebackType | None) -> tuple[tuple[tuple[CodeType, int | None, int], ...], int]:
    every: list[TracebackType] = []
    while last is not None:
        every.append(last)
        last = last.tb_next
    missing = max(0, len(every) - _FIRST_FRAMES - _LAST_FRAMES)
    kept = every[:_FIRST_FRAMES] + every[_FIRST_FRAMES + missing :] if missing else every
    return tuple((one.tb_frame.f_code, one.tb_lineno, one.tb_lasti) for one in kept), missing


def traceback_of(error: BaseException) -> str:
    """Format the bounded traceback of an exception, neither masked nor escaped."""
    return text_of(_Copier().copy(error))


def text_of(failure: Failure) -> str:
    """Format a snapshot as a Python traceback with notes of omissions, neither masked nor escaped."""
    return "\n".join(_lines(failure))


def _lines(failure: Failure) -> Iterator[str]:
    if failure.before is not None:
        yield from _lines(failure.before)
        yield _CAUSE if failure.is_cause else _CONTEXT
    elif failure.forgets:
        yield "[... earlier exceptions left out ...]\n"
    if failure.frames:
        yield "Traceback (most recent call last):"
        first = failure.frames[:_FIRST_FRAMES] if failure.missing else failure.frames
        yield from _stack(first)
        if failure.missing:
            yield f"  [... {failure.missing} frames left out ...]"
            yield from _stack(failure.frames[_FIRST_FRAMES:])
    yield f"{failure.kind}: {_whole(failure.message)}" if failure.message.text else failure.kind
    for note in failure.notes:
        yield _whole(note)
    for number, part in enumerate(failure.parts, 1):
        yield f"  +---------------- {number} ----------------"
        yield from (f"  | {line}" for text in _lines(part) for line in text.split("\n"))
    if failure.parts_missing:
        yield f"  +---------------- {failure.parts_missing} more"


def _whole(clip: Clipped) -> str:
    return clip.text if not clip.left_out else f"{clip.text} [... {clip.left_out} characters left out of it ...]"


def _stack(frames: tuple[tuple[CodeType, int | None, int], ...]) -> Iterator[str]:
    summaries = []
    for code, line, instruction in frames:
        place = (
            next(islice(code.co_positions(), instruction // 2, None), (None,) * 4) if instruction >= 0 else (None,) * 4
        )
        summaries.append(
            traceback.FrameSummary(
                code.co_filename,
                line,
                code.co_name,
                lookup_line=False,
                end_lineno=place[1],
                colno=place[2],
                end_colno=place[3],
            )
        )
    for text in traceback.StackSummary.from_list(summaries).format():
        yield text.removesuffix("\n")
