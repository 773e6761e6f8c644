from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.analysis import row_keys
from cqox.analysis.fold_keys import fold_keys
from cqox.analysis.opened import Opened, open_request
from cqox.analysis.row_hash import row_hashes
from cqox.analysis.row_keys import key_column, key_files, write_keys
from cqox.contract import AnalyzeRequest, parse_model
from cqox.datasets import Limits, ReadOptions, read_table, write_parquet
from cqox.estimators.numerics.portable_folds import hash_keys

ROWS = 300_000
MAPPING: dict[str, object] = {"y": "y", "treatment": "t", "covariates": ["x", "word"]}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "y": rng.normal(size=ROWS),
            "t": rng.integers(0, 2, ROWS),
            "x": rng.normal(size=ROWS),
            "word": np.array(["a", "b"])[rng.integers(0, 2, ROWS)],
            "unit": np.arange(ROWS),
            "half": np.arange(ROWS) // 2 + 0.5,
        }
    )
    folder = tmp_path_factory.mktemp("keys")
    frame.write_parquet(folder / "raw.parquet")
    read = read_table(folder / "raw.parquet", name="t", limits=Limits(), options=ReadOptions())
    write_parquet(read, folder / "t.parquet")
    return folder / "t.parquet"


def opened(table: Path, mapping: dict[str, object], **options: object) -> Opened:
    return open_request(table, parse_model(AnalyzeRequest, {"dataset_id": "d", "mapping": mapping, "options": options}))


@pytest.mark.parametrize("more", [{}, {"unit_id": "half"}])
@pytest.mark.parametrize("in_memory", [False, True])
def test_files_hold_the_keys_of_memory_in_the_order_of_the_rows(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, object], in_memory: bool
) -> None:
    monkeypatch.setattr(row_keys, "_PART_ROWS", 110_000)
    request = opened(table, {**MAPPING, **more})
    frame = pl.read_parquet(table)
    hashes = row_hashes(frame, request.roles)
    expected = fold_keys(frame, request.roles, hashes) if more else hash_keys(hashes)
    with ExitStack() as stack:
        files = key_files(request, None if in_memory else tmp_path, stack)
        write_keys(request, files)
        parts = [pl.read_parquet(each.path)["key"].to_numpy() for each in files]
        assert sorted(tmp_path.iterdir()) == ([] if in_memory else sorted(each.path for each in files))
    assert [len(part) for part in parts] == [110_000, 110_000, 80_000]
    np.testing.assert_array_equal(np.concatenate(parts), expected)


@pytest.mark.parametrize(
    ("mapping", "options"),
    [
        ({**MAPPING, "unit_id": "unit"}, {}),
        (MAPPING, {"estimators": ["ols_adjustment", "ipw_ate"]}),
        (MAPPING, {"folds_version": 1}),
        (MAPPING, {"missing": "indicator"}),
        ({"y": "y", "treatment": "t"}, {}),
    ],
)
def test_no_key_is_made_where_no_estimate_needs_one(
    table: Path, tmp_path: Path, mapping: dict[str, object], options: dict[str, object]
) -> None:
    with ExitStack() as stack:
        assert key_files(opened(table, mapping, **options), tmp_path, stack) == []


def test_keys_of_an_encrypted_table_that_do_not_fit_into_memory_are_not_made(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_keys, "_MEMORY_BYTES", 8 * ROWS - 1)
    with ExitStack() as stack:
        assert key_files(opened(table, MAPPING), None, stack) == []
        assert len(key_files(opened(table, MAPPING), tmp_path, stack)) == 1


@pytest.mark.parametrize(("unit", "kind"), [("unit", "number key"), ("word", "word key"), ("half", None)])
def test_a_column_of_fractions_has_no_portable_key(table: Path, unit: str, kind: str | None) -> None:
    found = key_column(opened(table, {**MAPPING, "covariates": ["x"], "unit_id": unit}))
    assert (None if found is None else found.kind) == kind
