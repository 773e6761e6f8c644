"""The suite that every engine runs: each answers as arrays in memory do."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from cqox.engines import SourceColumn
from cqox.estimators.numerics.moments import (
    ArrayMoments,
    Column,
    Constant,
    Exp,
    Expr,
    Fold,
    GroupSum,
    Is,
    Known,
    Moments,
    Quotient,
    case,
    linear,
    times,
)
from cqox.estimators.numerics.portable_folds import text_key, whole_number_keys

ROWS = 3_000
X = tuple(Column(f"x{number}") for number in range(3))
Y, T, WORD, GROUP, KEY = (Column(name) for name in ("y", "t", "word", "group", "key"))
STANDARD = [linear([(0.5, column)], -0.1) for column in X]
LOGISTIC = Quotient(Constant(1.0), linear([(1.0, Exp(linear([(1.0, STANDARD[0]), (-0.3, STANDARD[1])])))], 1.0))
COMPLETE = Known((*X, Y, WORD))
KINDS = {"word": "word", "flag": "truth", "day": "day", "small": "number key"}
ESTIMATES: list[tuple[str, dict[str, int]]] = [
    *((name, {}) for name in ("ols_adjustment", "ipw_ate", "entropy_balancing_ate", "dml_irm_ate")),
    *(
        (name, {"clusters": 300, "weights": True})
        for name in ("lin_interacted", "entropy_balancing_att", "aipw", "dml_irm_att")
    ),
    *((name, {"clusters": 20}) for name in ("ols_adjustment", "dml_plr")),
    ("t_learner", {"clusters": 20}),
    ("dr_learner", {"clusters": 300, "weights": True}),
    ("iv_2sls", {"instruments": 2}),
    ("iv_2sls", {"instruments": 1, "clusters": 300, "weights": True}),
]
"""Estimates, and the designs of the studies, that every engine has to give as rows in memory do."""
PANELS: list[tuple[str, dict[str, int]]] = [
    ("twfe", {"weights": True}),
    ("twfe", {"clusters": 12}),
    ("synthetic_did", {"treated": 2}),
    ("did_callaway_santanna", {"weights": True}),
    ("did_imputation", {"clusters": 40}),
]
"""The same of panels."""
CUTOFFS: list[tuple[str, dict[str, int]]] = [
    ("rd_local_linear", {}),
    ("rd_local_linear", {"clusters": 60, "weights": True}),
    ("rd_fuzzy", {"fuzzy": True, "clusters": 60}),
    ("rd_density_test", {}),
]
"""The same of rows around a cutoff."""


def table(seed: int = 0) -> pl.DataFrame:
    """Rows with gaps, words in several scripts, whole numbers beyond 2^53, truth values, dates, and columns that are
    called as those of the statements are.
    """
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
        day=pl.Series([date(1931, 2, 28) + timedelta(days=int(each)) for each in rng.integers(0, 40_000, ROWS)]),
        small=pl.Series(rng.integers(-(2**31), 2**31, ROWS), dtype=pl.Int32),
        c0=pl.Series(rng.normal(size=ROWS)),
        e0=pl.Series(rng.normal(size=ROWS)),
        t0=pl.Series(rng.normal(size=ROWS)),
    )


def in_memory(frame: pl.DataFrame) -> ArrayMoments:
    """The same rows as arrays."""
    columns: dict[str, np.ndarray] = {name: frame[name].to_numpy() for name in frame.columns}
    if "day" in columns:
        columns["day"] = frame["day"].to_physical().cast(pl.Float64).to_numpy()
    if "small" in columns:
        columns["small"] = whole_number_keys(columns["small"].astype(np.int64))
    if "word" in columns:
        columns["word key"] = np.array([text_key(each or "") for each in frame["word"]])
    return ArrayMoments(columns=columns, block=512)


def source_columns(frame: pl.DataFrame) -> dict[str, SourceColumn]:
    """The columns of the table that holds the rows of a frame."""
    columns = {
        name: SourceColumn(name=name, kind=KINDS.get(name, "number"), floating=frame[name].dtype.is_float())
        for name in frame.columns
    }
    return columns | ({"word key": SourceColumn(name="word", kind="word key")} if "word" in columns else {})


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
        for word in ("it's", '"b"', "東京", "x%y\\z"):
            words = [each.where(Is(WORD, "=", word)).count() for each in (ours, theirs)]
            assert words[0] == words[1] > 0, word

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

    def test_what_is_asked_for_twice_is_answered_twice(self, moments: Moments) -> None:
        assert np.ptp(moments.grouped([Y, Y, T, Y], [T])[:, [2, 3, 5]], axis=1).tolist() == [0.0, 0.0]
        assert np.ptp(moments.sums([Y, Y], [T, T]).sums) == 0.0
        both = moments.fetch({"first": Y, "second": Y}, Fold(KEY, 5, 10**6, 100), 7)
        np.testing.assert_array_equal(both["first"], both["second"])

    def test_sums_of_groups_are_in_each_of_their_rows(self, moments: Moments, arrays: Moments) -> None:
        shared = times(STANDARD[1], STANDARD[1])
        by_group, by_both, by_number = (GroupSum(shared, by) for by in ((GROUP,), (GROUP, WORD), (Fold(KEY, 1, 0, 7),)))
        size = GroupSum(Constant(1.0), (GROUP,))
        nested = GroupSum(times(STANDARD[0], by_group), (WORD,))
        within = linear([(1.0, STANDARD[1]), (-1.0, Quotient(GroupSum(STANDARD[1], (GROUP,)), size))])
        values = [
            by_group, by_both, by_number, nested, times(within, within), Is(within, "<", 0.0), Is(size, "=", 50.0),
            shared, size,
        ]  # fmt: skip
        for conditions in ((COMPLETE,), (COMPLETE, Is(T, "=", 1.0))):
            found = []
            for each in (moments, arrays):
                for condition in conditions:
                    each = each.where(condition)
                found.append(each.grouped(values, [T]))
            np.testing.assert_allclose(found[0], found[1], rtol=1e-11)
        assert moments.where(COMPLETE).squares([within], [GROUP])[0] == pytest.approx([0.0], abs=1e-18 * ROWS)

    def test_whole_numbers_beyond_doubles_stay_apart(self, moments: Moments) -> None:
        assert moments.squares([Constant(1.0)], [GROUP])[1] == 40

    def test_dates_are_days(self, moments: Moments, arrays: Moments) -> None:
        day = Column("day")
        values: list[Expr] = [day, Is(day, "<", 0.0), Is(day, "=", -1.0), Is(day, ">=", 20_000.0)]
        found = [each.sums(values, [day]) for each in (moments, arrays)]
        np.testing.assert_array_equal(found[0].sums, found[1].sums)
        np.testing.assert_array_equal(found[0].largest, found[1].largest)
        assert found[0].sums[1] > 0

    @pytest.mark.parametrize("key", ["key", "small", "word key"])
    def test_keys_of_every_kind_have_the_folds_of_rows_in_memory(
        self, moments: Moments, arrays: Moments, key: str
    ) -> None:
        for seed, folds in ((0, 5), (7, 97)):
            by = [Fold(Column(key), seed, 2, folds)]
            found = [each.where(Known((WORD,))).grouped([Constant(1.0), Y], by) for each in (moments, arrays)]
            np.testing.assert_array_equal(found[0][:, :3], found[1][:, :3])

    def test_columns_may_be_called_as_those_of_statements(self, moments: Moments, arrays: Moments) -> None:
        c0, e0, t0 = (Column(name) for name in ("c0", "e0", "t0"))
        shared = linear([(2.0, c0), (1.0, e0), (-1.0, t0)], 0.5)
        values = [times(shared, shared), times(shared, c0), times(e0, t0), times(t0, X[0])]
        for conditions in ((), (Is(t0, ">", 0.0), Is(c0, "<", 1.0))):
            found = []
            for each in (moments, arrays):
                for condition in conditions:
                    each = each.where(condition)
                found.append(each.grouped(values, [T]))
            np.testing.assert_allclose(found[0], found[1], rtol=1e-11)

    def test_more_values_than_an_answer_may_have_columns(self, moments: Moments, arrays: Moments) -> None:
        values = [linear([(float(number), Y)], 1.0) for number in range(1, 1_701)]
        groups = [each.where(COMPLETE).grouped(values, [T]) for each in (moments, arrays)]
        np.testing.assert_allclose(groups[0], groups[1], rtol=1e-10, atol=1e-9)

    def test_probabilities_near_zero_are_summed(self, moments: Moments, arrays: Moments) -> None:
        # As where the arms are separated, and the line of the logit grows.
        e = Quotient(Constant(1.0), linear([(1.0, Exp(linear([(4_000.0, X[0])])))], 1.0))
        score = times(e, linear([(-1.0, e)], 1.0), linear([(1.0, T), (-1.0, e)]))
        found = [each.sums([e, score, times(score, score)]).sums for each in (moments, arrays)]
        np.testing.assert_allclose(found[0], found[1], rtol=1e-11, atol=1e-12)

    def test_every_digit_of_a_number_arrives(self, moments: Moments, arrays: Moments) -> None:
        for value in (0.1 + 0.2, -1e-300, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, -123456.789e-7):
            assert moments.sums([], [Constant(value)]).largest[0] == value

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

    def test_columns_of_all_rows_are_read_with_codes_of_others(self, moments: Moments, arrays: Moments) -> None:
        columns = {"x": X[1], "z": STANDARD[0], "t": T, "it": Is(WORD, "=", "it's")}
        codes = {name: Column(name) for name in ("word", "group", "day", "flag", "small")}
        found = [each.where(Is(X[0], "<", 1.0)).rows(columns, codes) for each in (moments, arrays)]
        order = [np.argsort(each["z"]) for each in found]
        assert [set(each) for each in found] == [{*columns, *codes}] * 2
        assert len(found[0]["z"]) == len(found[1]["z"]) < ROWS
        for name in columns:
            ours, theirs = (each[name][places] for each, places in zip(found, order, strict=True))
            np.testing.assert_allclose(ours, theirs, rtol=1e-14)
        for name in codes:
            ours, theirs = (each[name][places] for each, places in zip(found, order, strict=True))
            np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
            known = ~np.isnan(theirs)
            pairs = np.unique(np.stack([ours[known], theirs[known]]), axis=1)
            assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1], name
        assert np.isnan(found[0]["word"]).any()
        assert np.isnan(found[0]["x"]).any()

    def test_no_row_has_no_columns(self, moments: Moments) -> None:
        nothing = moments.where(Is(X[0], ">", 1e9)).rows({"y": Y}, {"word": WORD})
        assert {name: len(values) for name, values in nothing.items()} == {"y": 0, "word": 0}

    def test_no_row_has_sums_of_zero(self, moments: Moments) -> None:
        nothing = moments.where(Is(X[0], ">", 1e9))
        assert nothing.count() == 0
        assert nothing.sums([Y]).sums.tolist() == [0.0]
        assert np.isnan(nothing.sums([T], [T, Y]).largest).all()
        assert len(nothing.grouped([Y], [T])) == 0
        assert nothing.squares([Y], [T]) == (pytest.approx([0.0]), 0)
