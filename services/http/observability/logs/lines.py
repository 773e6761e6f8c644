"""One entry as one line of the log: JSON, or words for a terminal, where a traceback follows in indented lines.

Nothing that was logged can end its line, steer the terminal or pass for another entry: lines that begin in the first
column are ours.
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
    """What renders entries as JSON objects.

    Args:
        service: put on every line.
        ascii_only: whether the line must not hold other characters, which JSON then escapes.
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
    """Make what renders entries as words, with the time of this machine.

    The span is left out: a person looks up the trace.

    Args:
        service: put on every line.
        colors: whether the terminal shows colors.
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
    # Quoted where it could pass for more than one field.
    plain = value and len(value.translate(_PLAIN)) == len(value)
    return value if plain else '"' + value.replace('"', r"\"") + '"'


def _fields(entry: Entry) -> dict[str, object]:
    fields: dict[str, object] = {}
    size = 0
    for number, (name, value) in enumerate(entry.fields.items()):
        if size > _MOST_FIELDS:
            fields["left_out"] = len(entry.fields) - number
            break
        told, characters = _told(value, _MOST_FIELD)
        fields[escaped(name)] = told
        size += characters
    return fields


def _told(value: Value, most: int) -> tuple[object, int]:
    """The value as JSON has it, and roughly how long it is."""
    match value:
        case Clipped():
            text = shown(value, most)
            return text, len(text)
        case dict():
            members = {escaped(masked(name)): _told(each, _MOST_NESTED) for name, each in value.items()}
            size = sum(len(name) + length for name, (_, length) in members.items())
            return {name: told for name, (told, _) in members.items()}, size
        case list():
            items = [_told(each, _MOST_NESTED) for each in value]
            return [told for told, _ in items], sum(length for _, length in items)
        case float() if not math.isfinite(value):
            return repr(value), 4
        case _:
            return value, 8


def _block(entry: Entry) -> list[str]:
    """The lines of traceback and stack, each of which can stand in a line of its own."""
    texts = [text_of(entry.failure)] if entry.failure is not None else []
    if entry.stack.text:
        texts.append(entry.stack.text)
    if not texts:
        return []
    lines = [escaped(line) for line in masked("\n".join(texts)).split("\n")]
    return shortened("\n".join(lines), _MOST_TRACEBACK).split("\n")
