"""P-values of several tests, adjusted for their number."""

from collections.abc import Sequence

__all__ = ["holm", "smallest"]


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down method, in the order given; the smallest is multiplied by their
    number.

    Holm 1979, Scandinavian Journal of Statistics 6(2).
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, largest = [0.0] * len(values), 0.0
    for place, at in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - place) * values[at]))
        adjusted[at] = largest
    return adjusted


def smallest(*values: float | None) -> float:
    """Return the smallest p-value of the tests that there are, adjusted for their number; 1 without any."""
    known = [value for value in values if value is not None]
    return min(holm(known), default=1.0)
