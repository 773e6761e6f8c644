"""Texts of log records: truncated when logged, masked and escaped when formatted."""

from typing import NamedTuple

from cqox.telemetry.escaping import escaped, shortened
from cqox.telemetry.secrets import masked

__all__ = ["NO_TEXT", "Clipped", "clipped", "quoted", "safe_str", "shown"]

_MOST = 12_288
_MOST_NESTED = 4_096
_MOST_ARGUMENTS = 8


class Clipped(NamedTuple):
    """A truncated text and the number of characters omitted from its middle."""

    text: str
    left_out: int


NO_TEXT = Clipped("", 0)


def clipped(text: str, *, nested: bool = False) -> Clipped:
    """Truncate a text, keeping enough that secrets are still found before it is shortened for output."""
    most = _MOST_NESTED if nested else _MOST
    if len(text) <= most:
        return Clipped(text, 0)
    half = most // 2
    return Clipped(text[:half] + text[len(text) - half :], len(text) - 2 * half)


def shown(clip: Clipped, most: int) -> str:
    """Format the text in one line with secrets masked and a note of omitted characters."""
    return shortened(escaped(masked(clip.text)), most, left_out=clip.left_out)


def safe_str(given: object) -> str:
    """Return `str(given)`; decode bytes, and return a placeholder if `__str__` raises."""
    try:
        return bytes(given[:_MOST]).decode("utf-8", "backslashreplace") if isinstance(given, bytes) else str(given)
    except Exception as error:  # noqa: BLE001 - foreign `__str__`; a logging call must not raise
        return f"<{type(given).__name__} that cannot be shown: {type(error).__name__}>"


def quoted(given: object, depth: int = 0) -> str:
    """Return a bounded `repr` of an object."""
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
