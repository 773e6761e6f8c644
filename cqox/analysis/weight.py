"""How much memory a value takes that came from JSON."""

import sys
from collections.abc import Mapping, Sequence

__all__ = ["weight_of"]


def weight_of(value: object) -> int:
    """The memory of a value and of all that it holds, in bytes; what is in it twice counts twice."""
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
