"""Bounds on the size of a body, checked before its content is read: every later step takes time for each value.

Bodies are validated in the event loop of a service, where a second of work for one request is a second for all.
"""

from collections.abc import Mapping

from pydantic import JsonValue

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

__all__ = ["MAX_SHOWN_CHARACTERS", "MOST_COLUMNS", "MOST_ITEMS", "MOST_VALUES", "check_size", "shortened"]

MOST_COLUMNS = 10_000
"""Maximum number of columns of one role, and of assignments in a mapping that is a list."""

MOST_ITEMS = 1_000
"""Maximum number of items of any other list, and of members of an object."""

MOST_VALUES = 50_000
"""Maximum number of values in a whole body."""

MAX_SHOWN_CHARACTERS = 100
"""Maximum length of a word that a message repeats. No role, option, estimator, number or date is longer."""


def check_size(body: Mapping[str, JsonValue]) -> None:
    """Check that a body is small enough to be validated in a moment.

    Raises:
        InvalidRequest: a list, an object or the whole has too many values; the field is named.
    """
    found = 0
    waiting: list[tuple[str, JsonValue]] = [("", dict(body))]
    while waiting:
        where, value = waiting.pop()
        if not isinstance(value, dict | list):
            continue
        most = MOST_COLUMNS if isinstance(value, list) and where.startswith("mapping") else MOST_ITEMS
        if len(value) > most:
            raise InvalidRequest(_too_many(where, value, most), field=where)
        found += len(value)
        if found > MOST_VALUES:
            raise InvalidRequest(Message("request.too-many-values", field=where, most=MOST_VALUES), field=where)
        parts = value.items() if isinstance(value, dict) else ((str(number), each) for number, each in enumerate(value))
        inner = [(shortened(name), each) for name, each in parts if isinstance(each, dict | list)]
        # Put back to front, so that it is the first in the body that is named.
        waiting += [(f"{where}.{name}" if where else name, each) for name, each in reversed(inner)]


def _too_many(where: str, value: Mapping[str, JsonValue] | list[JsonValue], most: int) -> Message:
    if not where:
        return Message("request.too-many-members-of-the-body", members=len(value), most=most)
    if isinstance(value, list):
        return Message("request.too-many-items", field=where, items=len(value), most=most)
    return Message("request.too-many-members", field=where, members=len(value), most=most)


def shortened(word: str) -> str:
    """Shorten a word to what a message repeats, with invisible characters as escapes."""
    shown = word if len(word) <= MAX_SHOWN_CHARACTERS else f"{word[: MAX_SHOWN_CHARACTERS - 1]}…"
    return (
        shown if shown.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in shown)
    )
