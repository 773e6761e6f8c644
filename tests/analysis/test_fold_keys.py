from datetime import date, datetime

import duckdb
import numpy as np
import polars as pl
import pytest

from cqox.analysis.fold_keys import fold_keys
from cqox.analysis.row_hash import row_hashes
from cqox.estimators.numerics.portable_folds import KEY_BITS, MISSING_KEY, hash_keys, text_key, whole_number_key_sql

EXPRESSIONS = {
    "whole numbers": whole_number_key_sql("u"),
    "texts": "('0x' || substr(md5(u), 1, 15))::bigint",
    "days": whole_number_key_sql("(u - date '1970-01-01')"),
    "times": whole_number_key_sql("epoch_us(u)"),
}
COLUMNS = {
    "whole numbers": pl.Series([3, -4, 0, None, 2**63 - 1, -(2**63)]),
    "texts": pl.Series(["a", "東京", None, "", "a", "u17"]),
    "days": pl.Series([date(1969, 12, 30), date(2024, 2, 29), None, date(1970, 1, 1)] * 2),
    "times": pl.Series([datetime(1960, 1, 1, 5), datetime(2024, 2, 29, 12, 30, 0, 7), None]),
}


def keys_of(series: pl.Series) -> list[int]:
    frame, roles = series.to_frame("u"), {"y": "y", "unit_id": "u"}
    found = fold_keys(frame, roles, row_hashes(frame, roles))
    assert found is not None
    assert found.dtype == np.int64
    return found.tolist()


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_database_computes_the_same_keys(kind: str) -> None:
    given = COLUMNS[kind].to_frame("u").with_row_index("i").to_arrow()  # noqa: F841 - duckdb finds it by its name
    query = f"select case when u is null then {MISSING_KEY} else {EXPRESSIONS[kind]} end from given order by i"
    with duckdb.connect() as base:
        found = base.sql(query).fetchall()
    assert [row[0] for row in found] == keys_of(COLUMNS[kind])


def test_categories_have_the_keys_of_their_words() -> None:
    assert keys_of(pl.Series(["b", "a", "b"], dtype=pl.Enum(["a", "b"]))) == [
        text_key("b"),
        text_key("a"),
        text_key("b"),
    ]


def test_whole_numbers_have_one_key_whether_stored_as_integers_or_as_floats() -> None:
    numbers = [0, -1, 7, 2**40, None]
    assert keys_of(pl.Series(numbers, dtype=pl.Float64)) == keys_of(pl.Series(numbers, dtype=pl.Int64))
    assert keys_of(pl.Series([0.0, -0.0])) == keys_of(pl.Series([0, 0]))


def test_numbers_with_a_fraction_have_keys_that_are_their_own() -> None:
    series = pl.Series([0.5, 1.5, -0.5, 0.5, float("inf"), 1.0])
    found = keys_of(series)
    assert found[0] == found[3]
    assert len(set(found)) == 5
    assert all(0 <= key < 2**KEY_BITS for key in found)
    frame, roles = series.to_frame("u"), {"unit_id": "u"}
    assert found[:5] == hash_keys(row_hashes(frame, roles))[:5].tolist()


def test_rows_share_the_key_of_the_first_cluster_else_of_the_unit() -> None:
    frame = pl.DataFrame({"g": ["a", "a", "b"], "h": [1, 2, 3], "u": [1, 2, 2]})
    nothing = np.zeros(3, dtype=np.uint64)
    by_cluster = fold_keys(frame, {"cluster": ("g", "h"), "unit_id": "u"}, nothing)
    by_unit = fold_keys(frame, {"y": "h", "unit_id": "u"}, nothing)
    assert by_cluster is not None
    assert by_unit is not None
    assert by_cluster.tolist() == [text_key("a"), text_key("a"), text_key("b")]
    assert by_unit.tolist() == [2, 4, 4]
    assert fold_keys(frame, {"y": "h"}, nothing) is None
