"""The suite that every engine runs: each answers as arrays in memory do."""

import numpy as np
import polars as pl
import pytest

from cqox.estimators.numerics.moments import (
    ArrayMoments,
    Column,
    Constant,
    Exp,
    Expr,
    Fold,
    Is,
    Known,
    Moments,
    Quotient,
    case,
    linear,
    times,
)

ROWS = 3_000
X = tuple(Column(f"x{number}") for number in range(3))
Y, T, WORD, GROUP, KEY = (Column(name) for name in ("y", "t", "word", "group", "key"))
STANDARD = [linear([(0.5, column)], -0.1) for column in X]
LOGISTIC = Quotient(Constant(1.0), linear([(1.0, Exp(linear([(1.0, STANDARD[0]), (-0.3, STANDARD[1])])))], 1.0))
COMPLETE = Known((*X, Y, WORD))
KINDS = {"word": "word", "flag": "truth"}


def table(seed: int = 0) -> pl.DataFrame:
    """Rows with gaps, words in several scripts, whole numbers beyond 2^53 and truth values."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, 3)) * (1.0, 1e3, 1e-3) + (0.0, 1e6, 0.0)
    x[::17, 1] = np.nan
    words = np.array(["a", "it's", '"b"', "東京", "x%y\\z"])[rng.integers(0, 5, ROWS)]
    frame = pl.DataFrame({f"x{number}": column for number, column in enumerate(x.T)})
    group = rng.integers(0, 40, ROWS) + 2**60
    return frame.with_columns(
        y=pl.Series(rng.normal(size=ROWS)),
        t=pl.Series((rng.random(ROWS) < 0.4).astype(np.int64)),
        word=pl.Series(np.where(np.arange(ROWS) % 101 == 3, None, words), dtype=pl.String),
        group=pl.Series(group),
        key=pl.Series(rng.integers(0, 2**61, ROWS)),
        flag=pl.Series(rng.random(ROWS) < 0.3),
    )


def in_memory(frame: pl.DataFrame) -> Moments:
    """The same rows as arrays."""
    return ArrayMoments(columns={name: frame[name].to_numpy() for name in frame.columns}, block=512)


class MomentsContract:
    """Subclasses give `moments`: the table of `table()` in their engine."""

    @pytest.fixture(scope="class")
    @classmethod
    def moments(cls) -> Moments:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def arrays(cls) -> Moments:
        return in_memory(table())

    def test_conditions_leave_rows_out(self, moments: Moments, arrays: Moments) -> None:
        assert moments.count() == ROWS
        ours, theirs = moments.where(COMPLETE), arrays.where(COMPLETE)
        assert 0 < ours.count() == theirs.count() < ROWS
        treated = [each.where(Is(T, "=", 1.0)).where(Is(X[0], ">", 0.25)) for each in (ours, theirs)]
        assert treated[0].count() == treated[1].count()
        words = [each.where(Is(WORD, "=", "it's")).count() for each in (ours, theirs)]
        assert words[0] == words[1] > 0

    def test_cross_products_by_group(self, moments: Moments, arrays: Moments) -> None:
        columns: list[Expr] = [Constant(1.0), *STANDARD, Is(WORD, "=", "東京"), Is(WORD, "=", '"b"')]
        found = [each.where(COMPLETE).gram(columns, [Fold(KEY, 3, 1, 5), T], LOGISTIC) for each in (moments, arrays)]
        np.testing.assert_array_equal(found[0].keys, found[1].keys)
        np.testing.assert_array_equal(found[0].counts, found[1].counts)
        assert len(found[0].keys) == 10
        np.testing.assert_allclose(found[0].products, found[1].products, rtol=1e-11, atol=1e-9)

    def test_sums_and_largest(self, moments: Moments, arrays: Moments) -> None:
        miss = linear([(1.0, T), (-1.0, LOGISTIC)])
        values = [
            miss, times(miss, STANDARD[1]), case(T, STANDARD[0], miss), case(Fold(KEY, 0, 0, 3), *STANDARD),
            Is(LOGISTIC, "<", 0.4), Is(X[2], ">=", 0.0), Exp(linear([(1e4, X[2])])), Column("flag"),
            Known((X[1],)), Is(Column("flag"), "=", True),
        ]  # fmt: skip
        found = [each.where(COMPLETE).sums(values, [miss, X[1]]) for each in (moments, arrays)]
        np.testing.assert_allclose(found[0].sums, found[1].sums, rtol=1e-11)
        np.testing.assert_allclose(found[0].largest, found[1].largest, rtol=1e-14)

    def test_a_missing_value_is_counted_and_left_out(self, moments: Moments, arrays: Moments) -> None:
        known = [each.sums([Known((X[1],)), Known((WORD,)), Known((WORD, X[1]))]).sums for each in (moments, arrays)]
        assert known[0].tolist() == known[1].tolist()
        assert known[0][0] < ROWS

    def test_sums_within_groups(self, moments: Moments, arrays: Moments) -> None:
        values = [LOGISTIC, times(LOGISTIC, Y)]
        for by in ([GROUP], [WORD], [GROUP, T], [T], [WORD, T]):
            ours, theirs = (each.where(COMPLETE).grouped(values, by) for each in (moments, arrays))
            order = [np.lexsort(each[:, len(by) + 1 :].T) for each in (ours, theirs)]
            # How words are numbered is the engine's affair.
            numbers = slice(0, None) if WORD not in by else slice(len(by), None)
            np.testing.assert_allclose(ours[order[0]][:, numbers], theirs[order[1]][:, numbers], rtol=1e-11)

    def test_squared_sums_within_groups(self, moments: Moments, arrays: Moments) -> None:
        for within in ([GROUP], [WORD], [WORD, GROUP]):
            found = [each.where(COMPLETE).squares([LOGISTIC, Y], within) for each in (moments, arrays)]
            assert found[0][1] == found[1][1] > 4
            np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-11)

    def test_whole_numbers_beyond_doubles_stay_apart(self, moments: Moments) -> None:
        assert moments.squares([Constant(1.0)], [GROUP])[1] == 40

    def test_rows_are_fetched_by_their_key(self, moments: Moments, arrays: Moments) -> None:
        draw = Fold(KEY, 5, 10**6, 100)
        found = [
            each.where(COMPLETE).fetch({"z": STANDARD[0], "t": T, "word": Is(WORD, "=", "a")}, draw, 7)
            for each in (moments, arrays)
        ]
        assert 100 < len(found[0]["z"]) < 400
        order = [np.argsort(each["z"]) for each in found]
        for name in ("z", "t", "word"):
            np.testing.assert_allclose(found[0][name][order[0]], found[1][name][order[1]], rtol=1e-14)

    def test_no_row_has_sums_of_zero(self, moments: Moments) -> None:
        nothing = moments.where(Is(X[0], ">", 1e9))
        assert nothing.count() == 0
        assert nothing.sums([Y]).sums.tolist() == [0.0]
