"""Conversion of floats to JSON numbers."""

import math

__all__ = ["number"]


def number(value: float | None) -> float | None:
    """Return the number as a Python float; None if it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)
