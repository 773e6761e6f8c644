"""Columns that repeat another one."""

import numpy as np
import polars as pl
import pytest

from cqox.analysis.redundant_columns import redundancy, sampled

RNG = np.random.default_rng(2)
SKEWED = np.exp(3 * RNG.standard_normal(400))
LEVELS = RNG.integers(0, 3, 400)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (2.5 * SKEWED - 7, "correlation 1"),
        (-SKEWED, "correlation -1"),
        (np.log(SKEWED), "the same order"),
        (1 / SKEWED, "the opposite order"),
        (np.log(SKEWED) + 0.3 * RNG.standard_normal(400), None),
        (np.full(400, 0.1), None),
        (np.where(np.arange(400) < 9, SKEWED, np.nan), None),
        (np.where(np.arange(400) < 50, SKEWED, np.nan), "correlation 1"),
    ],
)
def test_amounts_are_alike_by_their_values_or_by_their_order(other: np.ndarray, found: str | None) -> None:
    assert redundancy(sampled(other), sampled(SKEWED)) == found
    assert redundancy(sampled(SKEWED), sampled(other)) == found


def test_words_are_alike_where_each_goes_with_one_level() -> None:
    words = pl.Series([("red", "blue", "green")[level] for level in LEVELS])
    numbers, merged = pl.Series(LEVELS), pl.Series(["red" if level else "blue" for level in LEVELS])
    assert redundancy(sampled(words), sampled(numbers)) == "the same levels"
    assert redundancy(sampled(numbers), sampled(words)) == "the same levels"
    assert redundancy(sampled(merged), sampled(numbers)) is None
    names = pl.Series([f"name {number}" for number in range(400)])
    assert redundancy(sampled(names), sampled(SKEWED)) is None


def test_equal_values_share_their_rank() -> None:
    coarse = SKEWED.round(1)
    assert redundancy(sampled(np.log(1 + coarse)), sampled(coarse)) == "the same order"
    assert redundancy(sampled((SKEWED > 1).astype(float)), sampled(SKEWED)) is None


def test_many_rows_are_compared_by_some_of_them() -> None:
    many = np.arange(1_000_000.0)
    assert sampled(many).series.len() == 20_000
    assert redundancy(sampled(many**9), sampled(many)) == "the same order"
