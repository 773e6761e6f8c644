"""Rendering of an entry as one log line: JSON, or text for a terminal, with an indented traceback.

Logged content cannot break its line, control the terminal or imitate another entry: only entries begin in the first
column.
"""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime

from cqox.telemetry.escaping import escaped, shortened
from cqox.telemetry.failures import text_of
from cqox.telemetry.secrets import masked
from cqox.telemetry.texts import Clipped, shown
from services.http.observability.logs.snapshot import Entry, Value

__all__ = ["console_line", "json_line"]

_MOST_EVENT = 8_192
_MOST_FIELD = 4_096
_MOST_NESTED = 1_024
_MOST_FIELDS = 32_768
_MOST_TRACEBACK = 32_768
_INDENT = "    "
_PLAIN = str.maketrans("", "", " \"'=\\")
_LEVELS = {"debug": "\x1b[32m", "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_BRIGHT, _DIM, _CYAN, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[0m"


def json_line(service: str, *, ascii_only: bool) -> Callable[[Entry], str]:
    """Return a function that renders entries as JSON objects.

    Args:
        service: added to every line.
        ascii_only: whether non-ASCII characters are escaped.
    """
    encode = json.JSONEncoder(ensure_ascii=ascii_only, allow_nan=False).encode

    def line(entry: Entry) -> str:
        at = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="microseconds")
        members: dict[str, object] = {
            "timestamp": at.replace("+00:00", "Z"),
            "level": escaped(entry.level),
            "logger": escaped(entry.logger),
            "service": service,
            "event": shown(entry.event, _MOST_EVENT),
        }
        for name, value in {**_fields(entry), **entry.trace}.items():
            members[name if name not in members else f"{name}_"] = value
        block = _block(entry)
        if block:
            members["exception"] = "\n".join(block)
        return encode(members)

    return line


def console_line(service: str, *, colors: bool) -> Callable[[Entry], str]:
    """Return a function that renders entries as text, in local time.

    The span id is omitted: people look up the trace.

    Args:
        service: added to every line.
        colors: whether the terminal supports colors.
    """

    def colored(color: str, text: str) -> str:
        return f"{color}{text}{_RESET}" if colors else text

    def members(entry: Entry) -> dict[str, object]:
        own: dict[str, object] = {"service": service}
        if entry.trace:
            own["trace_id"] = entry.trace["trace_id"]
        return own | {name if name not in own else f"{name}_": value for name, value in _fields(entry).items()}

    def line(entry: Entry) -> str:
        at = datetime.fromtimestamp(entry.at).strftime("%H:%M:%S.%f")
        level, event = escaped(entry.level), shown(entry.event, _MOST_EVENT)
        parts = [
            colored(_DIM, at),
            f"[{colored(_LEVELS.get(level, ''), f'{level:<9}')}]",
            colored(_BRIGHT, event),
            f"[{escaped(entry.logger)}]",
            *(f"{colored(_CYAN, name)}={_word(value)}" for name, value in members(entry).items()),
        ]
        return "\n".join([" ".join(parts), *(f"{_INDENT}{one}" for one in _block(entry))])

    return line


def _word(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    # Quoted where it could be read as more than one field.
    plain = value and len(value.translate(_PLAIN)) == len(value)
    return value if plain else '"' + value.replace('"', r"\"") + '"'


def _fields(entry: Entry) -> dict[str, object]:
    fields: dict[str, object] = {}
    size = 0
    for number, (name, value) in enumerate(entry.fields.items()):
        if size > _MOST_FIELDS:
            fields["left_out"] = len(entry.fields) - number
            break
        rendered, characters = _rendered(value, _MOST_FIELD)
        fields[escaped(name)] = rendered
        size += characters
    return fields


def _rendered(value: Value, most: int) -> tuple[object, int]:
    """Return the value as a JSON value, and its approximate length."""
    match value:
        case Clipped():
            text = shown(value, most)
            return text, len(text)
        case dict():
            members = {escaped(masked(name)): _rendered(each, _MOST_NESTED) for name, each in value.items()}
            size = sum(len(name) + length for name, (_, length) in members.items())
            return {name: rendered for name, (rendered, _) in members.items()}, size
        case list():
            items = [_rendered(each, _MOST_NESTED) for each in value]
            return [rendered for rendered, _ in items], sum(length for _, length in items)
        case float() if not math.isfinite(value):
            return repr(value), 4
        case _:
            return value, 8


def _block(entry: Entry) -> list[str]:
    """Return the escaped lines of traceback and stack."""
    texts = [text_of(entry.failure)] if entry.failure is not None else []
    if entry.stack.text:
        texts.append(entry.stack.text)
    if not texts:
        return []
    lines = [escaped(line) for line in masked("\n".join(texts)).split("\n")]
    return shortened("\n".join(lines), _MOST_TRACEBACK).split("\n")
