"""Header fields for a message of h11, checked all at once.

h11 matches each name and each value with an expression of its own when it sends them, which costs a service more than
the rest of the head. Usual fields match one stricter expression here; others are left to h11, which raises its errors.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import h11

if TYPE_CHECKING:
    from h11._headers import Headers

__all__ = ["are_usual", "wire_fields"]

_Headers = type(h11.Request(method="GET", target="/", headers=[("Host", "a")]).headers)
_NAMES = re.compile(rb"(?:[A-Za-z0-9-]++\n)*+")
_VALUES = re.compile(rb"(?:(?:[!-~](?:[ -~]*[!-~])?)?\n)*+")
_DIGITS = re.compile(rb"[0-9]{1,15}")
_LENGTH, _ENCODING = b"content-length", b"transfer-encoding"


def wire_fields(fields: Sequence[tuple[bytes, bytes]]) -> "list[tuple[bytes, bytes]] | Headers":
    """Return fields as a message of h11 takes them, without a second check where they are usual."""
    if not are_usual(fields):
        return list(fields)
    found = [(name, name.lower(), value) for name, value in fields]
    delimiting = [(name, value) for _, name, value in found if name in (_LENGTH, _ENCODING)]
    if delimiting and not _is_one_length(delimiting):
        return list(fields)
    return _Headers(found)


def are_usual(fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Return whether each name and value is one that can be written to a head as it is, apart from what it means."""
    return _match(_NAMES, [name for name, _ in fields]) and _match(_VALUES, [value for _, value in fields])


def _match(usual: re.Pattern[bytes], parts: Sequence[bytes]) -> bool:
    lines = b"\n".join([*parts, b""])
    # A part with a line feed of its own would look like two.
    return lines.count(b"\n") == len(parts) and usual.fullmatch(lines) is not None


def _is_one_length(delimiting: Sequence[tuple[bytes, bytes]]) -> bool:
    name, value = delimiting[0]
    return len(delimiting) == 1 and name == _LENGTH and _DIGITS.fullmatch(value) is not None
