import hashlib
import itertools
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy import stats

from cqox.estimators.numerics.portable_folds import (
    KEY_BITS,
    fold_sql,
    hash_keys,
    portable_folds,
    text_key,
    whole_number_key_sql,
    whole_number_keys,
)
from tests.servers import Postgres, running

P, Q = 2147483647, 2147483629
EDGES = [0, 1, Q - 1, Q, P - 1, P, P + 1, 2**31, 2**32, P * Q - 1, P * Q, 2**62 - 1, 2**62, 2**63 - 1]
PINNED = "1332303421120441014432404011112400401301"
WHOLE = [0, 1, -1, -2, 2**61 - 2, 2**61 - 1, 2**61, -(2**61), 2**62, 2**63 - 1, -(2**63)]


def coefficients(seed: int, split: int) -> tuple[int, ...]:
    digest = hashlib.blake2b(f"cqox folds 2 {seed} {split}".encode()).digest()
    words = [int.from_bytes(digest[start : start + 8], "little") for start in range(0, 64, 8)]
    return tuple(word % (P - 1) + 1 if place < 3 else word % P for place, word in enumerate(words))


def fold(key: int, seed: int, split: int, folds: int) -> int:
    """The definition in integers of any size, powers written out."""
    a, b, *polynomial = coefficients(seed, split)
    w = (a * (key % P) + b * (key % Q)) % P
    return sum(factor * w ** (5 - power) for power, factor in enumerate(polynomial)) % P % folds


def keys_of(count: int, bits: int = KEY_BITS) -> NDArray[np.int64]:
    return np.random.default_rng(3).integers(0, 2**bits, count)


@pytest.mark.parametrize(("seed", "split", "folds"), [(0, 0, 5), (7, 3, 2), (2**63 - 1, 99_999, 50)])
def test_folds_equal_their_definition_in_integers_of_any_size(seed: int, split: int, folds: int) -> None:
    keys = np.array([*EDGES, *keys_of(200).tolist()])
    found = portable_folds(keys, seed=seed, split=split, folds=folds)
    assert found.dtype == np.uint8
    assert found.tolist() == [fold(key, seed, split, folds) for key in keys.tolist()]


def test_folds_are_the_same_today_and_tomorrow() -> None:
    found = portable_folds(np.arange(40), seed=0, split=0, folds=5)
    assert "".join(map(str, found)) == PINNED


def test_keys_that_are_negative_are_refused_and_none_give_none() -> None:
    with pytest.raises(ValueError, match="negative"):
        portable_folds(np.array([3, -1]), seed=0, split=0, folds=5)
    assert portable_folds(np.empty(0, dtype=np.int64), seed=0, split=0, folds=5).tolist() == []


def test_folds_follow_their_keys_over_the_ends_of_blocks() -> None:
    keys = keys_of(50_001)
    found, order = portable_folds(keys, seed=1, split=0, folds=7), np.random.default_rng(5).permutation(len(keys))
    assert (portable_folds(keys[order], seed=1, split=0, folds=7) == found[order]).all()


class Watched(int):
    """A whole number that refuses to be negative or to reach 2^62."""

    def __new__(cls, value: int) -> "Watched":
        assert 0 <= value < 2**62, value
        return super().__new__(cls, value)

    def __add__(self, other: int) -> "Watched":
        return Watched(int(self) + other)

    def __mul__(self, other: int) -> "Watched":
        return Watched(int(self) * other)

    def __mod__(self, other: int) -> "Watched":
        return Watched(int(self) % other)

    __radd__, __rmul__ = __add__, __mul__


def test_the_expression_holds_three_operators_and_no_intermediate_reaches_two_to_the_62() -> None:
    for seed, split in itertools.product([0, 1, 2**63 - 1], range(40)):
        text = fold_sql("k", seed, split, 5)
        assert set(re.sub(r"\d+|k|[()\s]", "", text)) <= set("+*%")
        assert max(map(int, re.findall(r"\d+", text))) < 2**31
        for residues in ((P - 1, Q - 1), (0, Q - 1), (P - 1, 0)):
            # The key with these residues, by the Chinese remainder theorem.
            key = (residues[0] * Q * pow(Q, -1, P) + residues[1] * P * pow(P, -1, Q)) % (P * Q)
            # The expression is one of Python too.
            assert eval(text, {"k": Watched(key)}) == fold(key, seed, split, 5)


def test_the_greatest_residues_and_coefficients_stay_below_two_to_the_62(monkeypatch: pytest.MonkeyPatch) -> None:
    most = [P - 1] * 8
    monkeypatch.setattr("cqox.estimators.numerics.portable_folds._coefficients", lambda *_: most)
    key = P * Q - 1
    assert (key % P, key % Q) == (P - 1, Q - 1)
    assert eval(fold_sql("k", 0, 0, 5), {"k": Watched(key)}) == portable_folds(
        np.array([key]), seed=0, split=0, folds=5
    )


@pytest.mark.parametrize(("seed", "split", "folds"), [(0, 0, 5), (2**63 - 1, 12, 50)])
def test_duckdb_gives_two_million_keys_the_same_folds(seed: int, split: int, folds: int) -> None:
    keys = np.concatenate([EDGES, keys_of(1_000_000 - len(EDGES)), np.arange(1_000_000)])
    given = pa.table({"k": keys})  # noqa: F841 - duckdb finds it by its name
    with duckdb.connect() as base:
        found = base.sql(f"select {fold_sql('k', seed, split, folds)} as fold from given").fetchnumpy()["fold"]
    assert (found == portable_folds(keys, seed=seed, split=split, folds=folds)).all()


def test_sqlite_gives_the_same_folds_and_keys() -> None:
    keys, numbers = np.array([*EDGES, *keys_of(20_000).tolist()]), WHOLE
    with closing(sqlite3.connect(":memory:")) as base:
        base.execute("create table t (k bigint)")
        base.executemany("insert into t values (?)", [(key,) for key in keys.tolist()])
        found = base.execute(f"select {fold_sql('k', 4, 2, 5)} from t order by rowid").fetchall()
        made = [base.execute(f"select {whole_number_key_sql('?1')}", (each,)).fetchone()[0] for each in numbers]
    assert [row[0] for row in found] == portable_folds(keys, seed=4, split=2, folds=5).tolist()
    assert made == whole_number_keys(np.array(numbers)).tolist()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running(Postgres()) as server:
        yield server


@pytest.mark.xdist_group("servers")
def test_postgresql_gives_the_same_folds_and_keys(postgres: Postgres) -> None:
    keys = np.array([*EDGES, *keys_of(20_000).tolist()])
    for expression, given, made in (
        (fold_sql("k", 4, 2, 5), keys, portable_folds(keys, seed=4, split=2, folds=5)),
        (whole_number_key_sql("k"), np.array(WHOLE), whole_number_keys(np.array(WHOLE))),
    ):
        escaped = expression.replace("%", "%%")
        text = f"select {escaped} from unnest(%s::bigint[]) with ordinality as t (k, i) order by i"
        assert [row[0] for row in postgres.execute(text, given.tolist())] == made.tolist()


def test_whole_numbers_have_keys_that_are_their_own_in_duckdb_too() -> None:
    numbers = np.concatenate([np.arange(-5_000, 5_000), np.array(WHOLE)])
    made = whole_number_keys(numbers)
    assert made.min() >= 0
    assert made.max() < 2**KEY_BITS
    assert len(set(made[:10_000].tolist())) == 10_000
    given = pa.table({"k": numbers})  # noqa: F841 - duckdb finds it by its name
    with duckdb.connect() as base:
        found = base.sql(f"select {whole_number_key_sql('k')} as made from given").fetchnumpy()["made"]
    assert (found == made).all()


def test_a_text_has_the_key_that_the_md5_of_duckdb_gives() -> None:
    for text in ("", "a", "東京", "u17", "x" * 500):
        with duckdb.connect() as base:
            found = base.execute("select ('0x' || substr(md5(?), 1, 15))::bigint", [text]).fetchone()
        assert found == (text_key(text),)
        assert 0 <= text_key(text) < 2**KEY_BITS


def test_a_hash_gives_its_lower_bits() -> None:
    assert hash_keys(np.array([5, 2**62 + 5, 2**64 - 1], dtype=np.uint64)).tolist() == [5, 5, 2**62 - 1]


N, FOLDS, SEEDS = 1_000, 5, 400
ROWS = np.arange(N)
KEYS = {
    "consecutive": ROWS,
    "dates": 20_200_101 + ROWS,
    "far from zero": ROWS + 2**61,
    "by tens": ROWS * 10,
    "by 2^20": ROWS * 2**20,
    "by 2^32": ROWS * 2**32,
    "by the first prime": ROWS * P,
    "by the second prime": ROWS * Q,
    "clustered": (np.arange(20)[:, None] * 987_654_321_987 + np.arange(50)).ravel(),
    "pairs of numbers": ROWS // 25 * 1_000_000 + ROWS % 25,
    "signed": whole_number_keys(ROWS - N // 2),
    "random": keys_of(N),
}


def fit(cells: NDArray[np.int64], count: int) -> float:
    """The p-value for Pearson's statistics of the rows of (tables, drawn) cells to be chi-square, neither larger nor
    smaller."""
    counts = np.stack([np.bincount(row, minlength=count) for row in cells])
    expected = cells.shape[1] / count
    found = ((counts - expected) ** 2 / expected).sum(axis=1)
    return float(stats.kstest(found, stats.chi2(count - 1).cdf).pvalue)


@pytest.mark.parametrize("name", KEYS)
def test_folds_of_neighbours_seeds_and_splits_are_independent(name: str) -> None:
    seeds = np.stack([portable_folds(KEYS[name], seed=each, split=0, folds=FOLDS) for each in range(SEEDS)])
    splits = np.stack([portable_folds(KEYS[name], seed=0, split=each, folds=FOLDS) for each in range(SEEDS)])
    by_seed, by_split = seeds.astype(np.int64), splits.astype(np.int64)
    found = {
        "sizes": fit(by_seed, FOLDS),
        "seeds": fit(by_seed[:-1] * FOLDS + by_seed[1:], FOLDS**2),
        "splits": fit(by_split[:-1] * FOLDS + by_split[1:], FOLDS**2),
        "seeds and splits": fit(by_seed[1:] * FOLDS + by_split[1:], FOLDS**2),
        "neighbours": fit(by_seed[:, 0::2] * FOLDS + by_seed[:, 1::2], FOLDS**2),
        "three neighbours": fit(by_seed[:, 0:999:3] * 25 + by_seed[:, 1:999:3] * 5 + by_seed[:, 2:999:3], FOLDS**3),
    }
    assert min(found.values()) > 1e-5, found


def test_few_keys_fall_into_folds_as_often_as_by_chance() -> None:
    for keys in (np.arange(6), np.arange(6) * 2**32, whole_number_keys(np.arange(-3, 3))):
        found = np.stack([portable_folds(keys, seed=seed, split=0, folds=2) for seed in range(6_400)])
        patterns = found.astype(np.int64) @ 2 ** np.arange(6)
        assert stats.chisquare(np.bincount(patterns, minlength=64)).pvalue > 1e-4


def test_every_bit_of_a_key_moves_it_to_any_other_fold() -> None:
    keys = keys_of(20_000)
    before = portable_folds(keys, seed=0, split=0, folds=FOLDS).astype(np.int64)
    for bit in range(KEY_BITS):
        after = portable_folds(keys ^ (1 << bit), seed=0, split=0, folds=FOLDS)
        pairs = np.bincount(before * FOLDS + after, minlength=FOLDS**2).reshape(FOLDS, FOLDS)
        assert stats.chi2_contingency(pairs, correction=False).pvalue > 1e-6, bit
