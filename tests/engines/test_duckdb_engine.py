from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import duckdb
import numpy as np
import polars as pl
import pytest

from cqox.engines import DuckDBEngine
from cqox.estimators import Settings
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.estimators.numerics.moments import Column, Constant, Known, Moments
from tests.engines import opened
from tests.engines.contract import CUTOFFS, PANELS
from tests.engines.stored import stored
from tests.estimators.by_moments.tables_of import (
    AT_CUTOFF,
    OF_LOGS,
    OF_POPULATIONS,
    OVER_TIME,
    around_cutoff,
    both,
    log_of_actions,
    panel_for,
    populations,
    same,
    study,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    with opened.duckdb(tmp_path_factory.getbasetemp()) as engine:
        yield engine


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in BY_MOMENTS
        if name not in ("iv_wald", "did_2x2", *OVER_TIME, *AT_CUTOFF, *OF_LOGS, *OF_POPULATIONS)
    ],
)
@pytest.mark.parametrize("design", [{}, {"clusters": 300, "weights": True}])
def test_estimates_are_those_of_the_rows_in_memory(
    engine: DuckDBEngine, tmp_path: Path, design: dict[str, bool], name: str
) -> None:
    def source(columns: dict[str, np.ndarray]) -> Moments:
        return stored(pl.DataFrame(columns), tmp_path / "rows.parquet", engine)

    data = study(**design, instruments=2 if name.startswith("iv") or name == "dml_pliv" else 0)
    same(*both(name, data, Settings(), source))


@pytest.mark.parametrize(("name", "design"), PANELS)
def test_estimates_of_panels_are_those_of_the_rows_in_memory(
    engine: DuckDBEngine, tmp_path: Path, name: str, design: dict[str, int]
) -> None:
    def source(columns: dict[str, np.ndarray]) -> Moments:
        return stored(pl.DataFrame(columns), tmp_path / "rows.parquet", engine)

    same(*both(name, panel_for(name, **design), Settings(), source))


@pytest.mark.parametrize(("name", "design"), CUTOFFS)
def test_estimates_at_a_cutoff_are_those_of_the_rows_in_memory(
    engine: DuckDBEngine, tmp_path: Path, name: str, design: dict[str, int]
) -> None:
    def source(columns: dict[str, np.ndarray]) -> Moments:
        return stored(pl.DataFrame(columns), tmp_path / "rows.parquet", engine)

    same(*both(name, around_cutoff(**design), Settings(), source))


@pytest.mark.parametrize("name", OF_LOGS)
@pytest.mark.parametrize("policy", ["columns", "none"])
def test_estimates_of_logs_are_those_of_the_rows_in_memory(
    engine: DuckDBEngine, tmp_path: Path, policy: str, name: str
) -> None:
    def source(columns: dict[str, np.ndarray]) -> Moments:
        return stored(pl.DataFrame(columns), tmp_path / "rows.parquet", engine)

    same(*both(name, log_of_actions(policy=policy, weights=True, clusters=300), Settings(), source))


@pytest.mark.parametrize("name", OF_POPULATIONS)
@pytest.mark.parametrize("design", [{}, {"clusters": 300, "weights": True}])
def test_estimates_of_a_target_are_those_of_the_rows_in_memory(
    engine: DuckDBEngine, tmp_path: Path, design: dict[str, int], name: str
) -> None:
    def source(columns: dict[str, np.ndarray]) -> Moments:
        return stored(pl.DataFrame(columns), tmp_path / "rows.parquet", engine)

    same(*both(name, populations(**design), Settings(), source))


def test_the_same_statement_gives_the_same_bytes_on_two_threads(engine: DuckDBEngine, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=400_000) * 10.0 ** np.random.default_rng(1).integers(-8, 8, 400_000)
    source = stored(pl.DataFrame({"x": values}), tmp_path / "rows.parquet", engine)
    sums = {source.sums([Column("x")]).sums[0] for _ in range(20)}
    assert len(sums) == 1


def test_missing_numbers_are_found_though_statistics_hide_them(engine: DuckDBEngine, tmp_path: Path) -> None:
    source = stored(pl.DataFrame({"x": [1.0, np.nan, None, 3.0]}), tmp_path / "rows.parquet", engine)
    assert source.sums([Known((Column("x"),))]).sums[0] == 2


def test_groups_that_do_not_fit_into_memory_are_spilled(tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    engine = DuckDBEngine.opened(memory_bytes=64 * 2**20, threads=2, spill=spill, folders=[tmp_path])
    found, over = [0], Event()

    def watch() -> None:
        while not over.wait(0.01):
            found.append(sum(each.stat().st_size for each in spill.glob("*") if each.exists()))

    watching = Thread(target=watch)
    try:
        numbers = np.arange(4_000_000)
        frame = pl.DataFrame({"unit": numbers // 2, "x": np.ones(len(numbers))})
        source = stored(frame, tmp_path / "rows.parquet", engine)
        watching.start()
        squares, groups = source.squares([Column("x"), Constant(1.0)], [Column("unit")])
        assert (groups, squares.tolist()) == (2_000_000, [8_000_000.0, 8_000_000.0])
    finally:
        over.set()
        watching.join()
        engine.close()
    assert max(found) > 2**20


def test_groups_that_neither_fit_nor_may_be_spilled_are_an_error_of_memory(tmp_path: Path) -> None:
    engine = DuckDBEngine.opened(memory_bytes=16 * 2**20, threads=1, spill=None, folders=[tmp_path])
    try:
        source = stored(pl.DataFrame({"unit": np.arange(1_000_000)}), tmp_path / "rows.parquet", engine)
        with pytest.raises(MemoryError):
            source.squares([Constant(1.0)], [Column("unit")])
        assert source.count() == 1_000_000
    finally:
        engine.close()


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('/etc/passwd')",
        "install httpfs",
        "copy (select 1) to '/tmp/cqox-written.csv'",
        "set enable_external_access = true",
        "attach '/tmp/other.duckdb'",
    ],
)
def test_a_statement_reaches_nothing_else(engine: DuckDBEngine, statement: str) -> None:
    with pytest.raises(duckdb.Error):
        engine.read(statement)


def test_a_long_statement_writes_nothing_to_the_standard_output(tmp_path: Path) -> None:
    engine = DuckDBEngine.opened(memory_bytes=2**28, threads=1, spill=None, folders=[tmp_path])
    found = engine.connection.execute("select current_setting('enable_progress_bar')").fetchall()
    engine.close()
    assert found == [(False,)]


def test_a_column_of_other_files_is_read_row_by_row_with_the_table(tmp_path: Path) -> None:
    rows = 300_000
    number = np.arange(rows)
    table = pl.DataFrame({"n": number, "v": number % 1_000 / 7, "word": [f"w{each % 13}" for each in range(rows)]})
    table.write_parquet(tmp_path / "t.parquet", row_group_size=10_000)
    files = [tmp_path / f"k{part}.parquet" for part in range(3)]
    for part, file in enumerate(files):
        own = number[part * 110_000 : (part + 1) * 110_000]
        pl.DataFrame({"key": own * 3 + 1}).write_parquet(file, row_group_size=7_000)
    engine = DuckDBEngine.opened(memory_bytes=2**28, threads=2, spill=None, folders=[tmp_path])
    try:
        alone = engine.files([tmp_path / "t.parquet"], numbered=True)
        paired = engine.row_by_row(alone, files, "key", "own key")
        assert engine.names(paired) == [*engine.names(alone), "own key"]
        # What is filtered, even where statistics of row groups exclude most of them, moves no key to another row.
        for condition in ("true", "n >= 250000", "v < 3", "word = 'w5'", "file_row_number between 5000 and 5100"):
            wrong, right = engine.read(
                'select count(*) filter (where "own key" is distinct from n * 3 + 1), count(*) '
                f"from (select * from {paired}) where {condition}"
            )
            (expected,) = engine.read(f"select count(*) from {alone} where {condition}")
            assert (wrong[0], right[0]) == (0, expected[0])
    finally:
        engine.close()
