"""Columns that are refused for the size of their numbers."""

import pytest

from cqox.analysis.magnitudes import is_extreme, refuse_extreme, refuse_infinite
from cqox.datasets import Column
from cqox.errors import UnusableData


def column(**about: object) -> Column:
    return Column(name="y", original_name="y", kind="real", dtype="float64", count=3, missing=0, distinct=3, **about)


def test_infinite_values_are_refused_by_name() -> None:
    refuse_infinite({"y": column()}, ["y"])
    with pytest.raises(UnusableData, match="y"):
        refuse_infinite({"y": column(infinite=2)}, ["y"])


@pytest.mark.parametrize(
    ("value", "extreme"), [(1e80, True), (-1e80, True), (1e-80, True), (0.0, False), (1e70, False)]
)
def test_numbers_whose_fourth_powers_overflow_or_vanish_are_extreme(value: float, extreme: bool) -> None:
    assert is_extreme(column(minimum=min(value, 0.0), maximum=max(value, 0.0))) is extreme


def test_ids_may_be_of_any_size() -> None:
    large = {"y": column(minimum=0.0, maximum=1e80)}
    refuse_extreme(large, {"unit_id": "y"})
    with pytest.raises(UnusableData):
        refuse_extreme(large, {"y": "y"})
