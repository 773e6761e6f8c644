"""Memory usage of values parsed from JSON."""

import sys
from collections.abc import Mapping, Sequence

__all__ = ["weight_of"]


def weight_of(value: object) -> int:
    """Return the memory of a value with its content, in bytes; shared parts count each time."""
    total, rest = 0, [value]
    while rest:
        each = rest.pop()
        total += sys.getsizeof(each)
        if isinstance(each, Mapping):
            rest += each.keys()
            rest += each.values()
        elif isinstance(each, Sequence) and not isinstance(each, str | bytes):
            rest += each
    return total
