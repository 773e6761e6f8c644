"""Numbers as JSON can hold them."""

import math

__all__ = ["number"]


def number(value: float | None) -> float | None:
    """The number as a Python float; None where it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)
