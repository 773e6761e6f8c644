from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.analysis.row_hash import RowHashing, row_hashes
from cqox.datasets import ColumnsOnDisk

ROLES = {"y": "y", "treatment": "w", "covariates": ("a", "b")}
FRAME = pl.DataFrame({"y": [1.5, 2.0, None], "w": ["x", "y", "x"], "a": [1, 2, 3], "b": [0.0, -0.0, 7.5]})
PINNED = [13006755638549052313, 2916446384607985523, 13038881886242824266]


def test_keys_are_the_same_today_and_tomorrow() -> None:
    # Written down once: a change of any library, or of ours, that moves a fold must be seen.
    assert row_hashes(FRAME, ROLES).tolist() == PINNED


def test_keys_follow_their_rows_in_any_order() -> None:
    order = [2, 0, 1]
    np.testing.assert_array_equal(row_hashes(FRAME[order], ROLES), row_hashes(FRAME, ROLES)[order])


def test_names_order_and_number_types_of_columns_do_not_matter() -> None:
    renamed = FRAME.rename({"y": "結果", "w": "処置", "a": "甲", "b": "乙"}).select("乙", "甲", "処置", "結果")
    floats = renamed.with_columns(pl.col("甲").cast(pl.Float64))
    roles = {"y": "結果", "treatment": "処置", "covariates": ("乙", "甲")}
    np.testing.assert_array_equal(row_hashes(floats, roles), row_hashes(FRAME, ROLES))


def test_zero_has_one_key_whatever_its_sign() -> None:
    frame = pl.DataFrame({"y": [0.0, -0.0]})
    keys = row_hashes(frame, {"y": "y"})
    assert keys[0] == keys[1]


def test_rows_of_a_cluster_or_unit_share_a_key_and_others_do_not() -> None:
    frame = pl.DataFrame({"y": [1.0, 2.0, 3.0], "g": ["a", "a", "b"], "u": [1, 2, 2]})
    by_cluster = row_hashes(frame, {"y": "y", "cluster": ("g",), "unit_id": "u"})
    assert by_cluster[0] == by_cluster[1] != by_cluster[2]
    by_unit = row_hashes(frame, {"y": "y", "unit_id": "u"})
    assert by_unit[0] != by_unit[1] == by_unit[2]


def test_distinct_rows_have_distinct_keys() -> None:
    frame = pl.DataFrame({"y": np.random.default_rng(0).normal(size=20_000)})
    assert len(set(row_hashes(frame, {"y": "y"}).tolist())) == 20_000


def test_a_covariate_that_repeats_another_or_never_varies_moves_no_fold() -> None:
    more = FRAME.with_columns(twice=pl.col("a") * 2 + 1, same=pl.lit(4))
    roles = {**ROLES, "covariates": ("a", "b", "twice", "same")}
    np.testing.assert_array_equal(row_hashes(more, roles), row_hashes(FRAME, ROLES))


def test_columns_are_kept_as_long_as_each_raises_the_rank() -> None:
    draw = np.random.default_rng(7)
    names = [f"x{number}" for number in range(40)]
    for _ in range(5):
        base = draw.normal(size=(200, 12))
        mixed = base @ draw.normal(size=(12, 28))
        columns = np.hstack([base, mixed])[:, draw.permutation(40)]
        table = pl.DataFrame(dict(zip(names, columns.T, strict=True)))
        ranks = [np.linalg.matrix_rank(columns[:, : size + 1]) for size in range(40)]
        raising = [name for name, rank, before in zip(names, ranks, [0, *ranks], strict=False) if rank > before]
        assert len(raising) == 12
        # Columns that raise no rank have no part in the hash.
        assert (
            row_hashes(table, {"covariates": tuple(raising)}) == row_hashes(table, {"covariates": tuple(names)})
        ).all()


LATE = 400_000
"""Rows of several row groups, of which the last alone shows what a column holds."""


def stored(folder: Path) -> tuple[pl.DataFrame, ColumnsOnDisk]:
    rng = np.random.default_rng(4)
    last = np.arange(LATE) >= LATE - 3
    frame = pl.DataFrame(
        {
            "y": rng.normal(size=LATE),
            "truths": np.where(rng.random(LATE) < 0.5, "true", "false"),
            "words": np.where(last, "perhaps", "true"),
            "constant until late": np.where(last, 1.0, 0.0),
            "missing until late": pl.Series([None] * (LATE - 1) + ["late"]),
            "constant": np.ones(LATE),
            "missing": pl.Series([None] * LATE, dtype=pl.Float64),
            "not a number": np.full(LATE, np.nan),
            "day": pl.Series(np.arange(LATE) // 1000).cast(pl.Date),
            "flag": rng.random(LATE) < 0.5,
        }
    )
    frame = frame.with_columns(
        twice=2 * pl.col("constant until late") + 1, level=pl.col("truths").cast(pl.Enum(["true", "false"]))
    )
    frame.write_parquet(folder / "t.parquet", row_group_size=131_072)
    return frame, ColumnsOnDisk(path=folder / "t.parquet", height=LATE)


@pytest.mark.parametrize(
    "roles",
    [
        {"y": "y", "covariates": ("truths", "words", "constant until late", "missing until late", "constant", "twice")},
        {"y": "y", "covariates": ("missing", "not a number", "day", "flag", "level")},
        {"y": "y", "unit_id": "words"},
        {"y": "y", "cluster": ("truths", "y")},
    ],
)
def test_parts_of_a_table_on_disk_have_the_hashes_of_the_whole(tmp_path: Path, roles: dict[str, object]) -> None:
    frame, disk = stored(tmp_path)
    whole = row_hashes(frame, roles)
    np.testing.assert_array_equal(row_hashes(disk, roles), whole)
    hashing = RowHashing.of(disk, roles)
    names = [name for _, name in hashing.columns]
    parts = [hashing(part) for part in frame.select(names).iter_slices(7_919)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert {"constant", "twice"}.isdisjoint(names)
