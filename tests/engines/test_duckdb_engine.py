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
from tests.engines.stored import stored
from tests.estimators.by_moments.tables_of import both, same, study


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    base = tmp_path_factory.getbasetemp()
    opened = DuckDBEngine.opened(memory_bytes=2**28, threads=2, spill=base / "spill", folders=[base])
    yield opened
    opened.close()


@pytest.mark.parametrize("name", [name for name in BY_MOMENTS if name not in ("iv_wald", "did_2x2")])
@pytest.mark.parametrize("design", [{}, {"clusters": 300, "weights": True}])
def test_estimates_are_those_of_the_rows_in_memory(
    engine: DuckDBEngine, tmp_path: Path, design: dict[str, bool], name: str
) -> None:
    def source(columns: dict[str, np.ndarray]) -> Moments:
        return stored(pl.DataFrame(columns), tmp_path / "rows.parquet", engine)

    data = study(**design, instruments=2 if name.startswith("iv") or name == "dml_pliv" else 0)
    same(*both(name, data, Settings(), source))


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
    opened = DuckDBEngine.opened(memory_bytes=64 * 2**20, threads=2, spill=spill, folders=[tmp_path])
    found, over = [0], Event()

    def watch() -> None:
        while not over.wait(0.01):
            found.append(sum(each.stat().st_size for each in spill.glob("*") if each.exists()))

    watching = Thread(target=watch)
    try:
        numbers = np.arange(4_000_000)
        frame = pl.DataFrame({"unit": numbers // 2, "x": np.ones(len(numbers))})
        source = stored(frame, tmp_path / "rows.parquet", opened)
        watching.start()
        squares, groups = source.squares([Column("x"), Constant(1.0)], [Column("unit")])
        assert (groups, squares.tolist()) == (2_000_000, [8_000_000.0, 8_000_000.0])
    finally:
        over.set()
        watching.join()
        opened.close()
    assert max(found) > 2**20


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
