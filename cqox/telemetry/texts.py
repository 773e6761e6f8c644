"""Texts on their way into a log: cut to a bound where they are logged, masked and escaped where they are shown."""

from typing import NamedTuple

from cqox.telemetry.escaping import escaped, shortened
from cqox.telemetry.secrets import masked

__all__ = ["NO_TEXT", "Clipped", "clipped", "quoted", "said_by", "shown"]

_MOST = 12_288
_MOST_NESTED = 4_096
_MOST_ARGUMENTS = 8


class Clipped(NamedTuple):
    """A text, and how many characters its middle has lost."""

    text: str
    left_out: int


NO_TEXT = Clipped("", 0)


def clipped(text: str, *, nested: bool = False) -> Clipped:
    """Keep so much of a text that a secret in it is found before it is shortened further to be shown."""
    most = _MOST_NESTED if nested else _MOST
    if len(text) <= most:
        return Clipped(text, 0)
    half = most // 2
    return Clipped(text[:half] + text[len(text) - half :], len(text) - 2 * half)


def shown(clip: Clipped, most: int) -> str:
    """The text in one line, without secrets, and with a note of what is left out where it has more characters."""
    return shortened(escaped(masked(clip.text)), most, left_out=clip.left_out)


def said_by(given: object) -> str:
    """What `str` makes of an object; bytes are decoded, and an object that cannot say anything is named."""
    try:
        return bytes(given[:_MOST]).decode("utf-8", "backslashreplace") if isinstance(given, bytes) else str(given)
    except Exception as error:  # noqa: BLE001 - the object's own code; a call that logs must not fail for it
        return f"<{type(given).__name__} that cannot be shown: {type(error).__name__}>"


def quoted(given: object, depth: int = 0) -> str:
    """What `repr` makes of an object, of exceptions and bytes only the beginning."""
    match given:
        case str():
            return repr(given if len(given) <= _MOST else f"{given[:_MOST]}...")
        case bytes() | bytearray() | memoryview():
            return repr(bytes(given[:_MOST])) + ("" if len(given) <= _MOST else f"... of {len(given)} bytes")
        case BaseException() if depth < 2:
            arguments = ", ".join(quoted(each, depth + 1) for each in given.args[:_MOST_ARGUMENTS])
            more = ", ..." if len(given.args) > _MOST_ARGUMENTS else ""
            return f"{type(given).__name__}({arguments}{more})"
        case _:
            try:
                return repr(given)
            except Exception as error:  # noqa: BLE001 - as above
                return f"<{type(given).__name__} that cannot be shown: {type(error).__name__}>"
