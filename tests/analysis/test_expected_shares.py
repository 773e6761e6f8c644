"""Planned shares of the contrasts."""

import polars as pl
import pytest

from cqox.analysis.expected_shares import planned_shares
from cqox.analysis.levels import Levels, treatment_levels
from cqox.errors import InvalidRequest


def levels_of(values: list[object]) -> Levels:
    return treatment_levels(pl.Series("t", values), amount=False, reference=None)


TWO, THREE = levels_of(["old", "new"] * 3), levels_of(["a", "b", "c"] * 3)
AMOUNT = levels_of([0.5, 1.5, 2.5, 3.5])


def test_one_share_is_that_of_the_treated_level() -> None:
    assert planned_shares(0.3, TWO, by_instrument=False) == (0.3,)
    assert planned_shares(None, THREE, by_instrument=False) == (None, None)


def test_a_share_by_level_is_that_within_each_contrast() -> None:
    reference, level = TWO.contrasts[0].compared or ("", "")
    assert planned_shares({level: 0.3}, TWO, by_instrument=False) == pytest.approx((0.3,))
    assert planned_shares({reference: 0.3}, TWO, by_instrument=False) == pytest.approx((0.7,))
    found = planned_shares({"a": 0.5, "b": 0.3, "c": 0.2}, THREE, by_instrument=False)
    assert found == pytest.approx((0.375, 0.2 / 0.7))
    assert planned_shares({"a": 0.5, "b": 0.3}, THREE, by_instrument=False) == pytest.approx(found)
    assert planned_shares({"b": 0.3}, THREE, by_instrument=False) == (None, None)


def test_with_an_instrument_the_share_is_its_own() -> None:
    assert planned_shares(0.3, AMOUNT, by_instrument=True) == (0.3,)
    with pytest.raises(InvalidRequest):
        planned_shares({"new": 0.3}, TWO, by_instrument=True)


@pytest.mark.parametrize(
    ("asked", "levels", "choices"),
    [({"d": 0.3}, THREE, ["a", "b", "c"]), (0.3, THREE, ["a", "b", "c"]), (0.3, AMOUNT, None)],
)
def test_what_does_not_fit_the_levels_is_refused_with_them(
    asked: float | dict[str, float], levels: Levels, choices: list[str] | None
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        planned_shares(asked, levels, by_instrument=False)
    assert refused.value.field == "options.expected_share"
    assert list(refused.value.choices or ()) == (choices or [])
