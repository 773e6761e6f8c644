"""A bounded, immutable copy of one log record, taken by the calling thread.

Numbers and short strings are copied unchanged. Long strings lose their middle, containers all but their first items,
and any other object becomes its `repr`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from cqox import telemetry
from cqox.telemetry.failures import Failure, failure_of
from cqox.telemetry.secrets import MASK, is_secret_name
from cqox.telemetry.texts import NO_TEXT, Clipped, clipped, quoted, safe_str

__all__ = ["Entry", "Value", "snapshot"]

type Value = Clipped | bool | int | float | list[Value] | dict[str, Value] | None
"""A field's value: a JSON value with clipped strings."""

_MOST_FIELDS = 64
_MOST_ITEMS = 32
_MOST_DEPTH = 4
_MOST_VALUES = 512
_MOST_BITS = 256
_OF_RECORD = frozenset({"event", "level", "logger", "timestamp", "exc_info", "stack", "_record", "_from_structlog"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One log entry.

    Attributes:
        at: seconds of the Unix epoch.
        level: the level's name in structlog.
        logger: the name of the logger.
        event: the message.
        fields: its structured fields.
        trace: ids of the current trace and span; empty where there is none.
        failure: the logged exception; None without one.
        stack: the logged stack; empty without one.
        size: its approximate number of characters.
        stands_for: number of entries that are lost if this one is.
    """

    at: float
    level: str
    logger: str
    event: Clipped
    fields: Mapping[str, Value]
    trace: Mapping[str, str]
    failure: Failure | None = None
    stack: Clipped = NO_TEXT
    size: int
    stands_for: int = 1


def snapshot(record: logging.LogRecord) -> Entry:
    """Copy a record with the context of the caller."""
    # structlog passes its event as the message: a mapping with the text under `event`.
    given: Mapping[object, object] = record.msg if isinstance(record.msg, dict) else {}
    if "event" in given:
        event, context = safe_str(given["event"]), dict[str, object]()
        exc_info, stack = given.get("exc_info") or record.exc_info, given.get("stack") or record.stack_info
    else:
        event, context, given = _message(record), dict[str, object](structlog.contextvars.get_contextvars()), {}
        exc_info, stack = record.exc_info, record.stack_info
    budget = _Budget()
    own = {str(name): value for name, value in given.items() if name not in _OF_RECORD}
    fields = budget.mapping(context | own, _MOST_FIELDS, 0)
    current = telemetry.current()
    trace = {} if current is None else {"trace_id": current.trace_id, "span_id": current.span_id}
    words, failure, stacked = clipped(event), failure_of(exc_info), clipped(stack if isinstance(stack, str) else "")
    return Entry(
        at=record.created,
        level=record.levelname.lower(),
        logger=record.name,
        event=words,
        fields=fields,
        trace=trace,
        failure=failure,
        stack=stacked,
        size=len(words.text) + len(stacked.text) + budget.characters + (failure.size if failure else 0),
    )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - an invalid logging call must not raise
        return f"{safe_str(record.msg)} (its arguments do not fit: {safe_str(error)})"


class _Budget:
    """The size of an entry so far, which bounds further values."""

    def __init__(self) -> None:
        self.characters = 0
        self._values = 0

    def mapping(self, given: Mapping[str, object] | Mapping[object, object], most: int, depth: int) -> dict[str, Value]:
        taken: dict[str, Value] = {}
        for number, (key, value) in enumerate(given.items()):
            if number == most or self._values > _MOST_VALUES:
                taken["left_out"] = len(given) - number
                break
            name = safe_str(key)[:128]
            self.characters += len(name)
            taken[name] = Clipped(MASK, 0) if is_secret_name(name) else self.value(value, depth)
        return taken

    def value(self, given: object, depth: int) -> Value:
        self._values += 1
        match given:
            case None | bool() | float():
                return given
            case int():
                return (
                    given
                    if given.bit_length() <= _MOST_BITS
                    else Clipped(f"an integer of {given.bit_length()} bits", 0)
                )
            case dict() if depth < _MOST_DEPTH:
                return self.mapping(given, _MOST_ITEMS, depth + 1)
            case list() | tuple() | set() | frozenset() if depth < _MOST_DEPTH:
                return self._items(tuple(given), depth)
            case dict() | list() | tuple() | set() | frozenset():
                return Clipped(f"{type(given).__name__} of {len(given)}", 0)
            case _:
                taken = clipped(safe_str(given) if isinstance(given, str) else quoted(given), nested=depth > 0)
                self.characters += len(taken.text)
                return taken

    def _items(self, given: tuple[object, ...], depth: int) -> Value:
        taken: list[Value] = []
        # A name and value pair, such as a header.
        secret = len(given) == 2 and isinstance(given[0], str | bytes) and is_secret_name(safe_str(given[0]))
        for number, value in enumerate(given):
            if number == _MOST_ITEMS or self._values > _MOST_VALUES:
                taken.append(Clipped(f"{len(given) - number} more", 0))
                break
            taken.append(Clipped(MASK, 0) if secret and number else self.value(value, depth + 1))
        return taken
