import math

import polars as pl
import pytest

from cqox.estimators.by_moments.catalog import BY_MOMENTS, OF_WHOLE_PANELS
from cqox.estimators.numerics.moments import Moments
from tests.engines import differences
from tests.engines.differences import BOUND, largest_difference, largest_differences
from tests.estimators.by_moments.tables_of import in_arrays

MEMORY = {
    "estimate": 2.0,
    "p_value": 1e-9,
    "n": 4_000.0,
    "zero": 0.0,
    "a": -1e6,
    "b": 1.0,
    "c": math.inf,
    "d": math.nan,
}


def in_memory(frame: pl.DataFrame) -> Moments:
    return in_arrays({name: frame[name].to_numpy() for name in frame.columns})


@pytest.mark.parametrize(
    ("place", "value", "difference"),
    [
        ("estimate", 2.0, 0.0),
        ("estimate", 2.0 + 2e-6, 1e-6),
        ("a", -1e6 - 1, 1e-6),
        ("n", 3_999.0, 1 / 4_000),
        ("p_value", 2e-9, 1e-6),
        ("zero", -1e-9, 1e-6),
        ("c", -math.inf, math.inf),
        ("c", 1.0, math.inf),
        ("d", 1.0, math.inf),
        ("b", math.nan, math.inf),
    ],
)
def test_the_largest_relative_difference_is_found(place: str, value: float, difference: float) -> None:
    assert largest_difference(MEMORY, {**MEMORY, place: value}) == pytest.approx(difference, rel=1e-6)


def test_numbers_that_only_one_has_are_not_compared() -> None:
    assert largest_difference({**MEMORY, "HC3": 1.0}, {**MEMORY, "other": 1.0}) == 0.0


def test_estimates_with_few_numbers_in_common_are_refused() -> None:
    with pytest.raises(AssertionError, match="only"):
        largest_difference(MEMORY, {place: MEMORY[place] for place in ("estimate", "n")})


def test_every_estimate_is_near_memory() -> None:
    found = largest_differences(in_memory)
    assert found.keys() == BY_MOMENTS.keys()
    assert max(found.values()) < BOUND


def test_a_planted_difference_shows_in_every_estimate() -> None:
    found = largest_differences(lambda frame: in_memory(frame.with_columns(pl.col("^(y|r)$") * (1 + 1e-6))))
    assert found.keys() == BY_MOMENTS.keys()
    for name, difference in found.items():
        if name not in OF_WHOLE_PANELS:
            assert 1e-7 < difference < 1e-3, name


def test_rows_that_an_engine_does_not_have_show_in_estimates_of_rows_that_are_read() -> None:
    found = largest_differences(lambda frame: in_memory(frame.filter(pl.col("row") % 40 != 39)))
    for name in OF_WHOLE_PANELS:
        assert found[name] > 1e-3, name


def test_an_estimate_that_sums_cannot_give_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "_DESIGNS", ({"clusters": 20},))
    with pytest.raises(AssertionError, match="few clusters"):
        largest_differences(in_memory)
