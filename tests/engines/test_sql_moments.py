from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cqox.engines import DuckDBEngine
from cqox.estimators.numerics.moments import Column, Constant, Moments
from tests.engines import opened
from tests.engines.contract import MomentsContract, table
from tests.engines.stored import stored


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    with opened.duckdb(tmp_path_factory.getbasetemp()) as engine:
        yield engine


class TestDuckDB(MomentsContract):
    @pytest.fixture(scope="class")
    @classmethod
    def moments(cls, engine: DuckDBEngine, tmp_path_factory: pytest.TempPathFactory) -> Moments:
        return stored(table(), tmp_path_factory.mktemp("table") / "rows.parquet", engine)


def test_cross_products_with_ones_are_sums(engine: DuckDBEngine, tmp_path: Path) -> None:
    source = stored(pl.DataFrame({"x": [1.0, 2.0, 4.0]}), tmp_path / "rows.parquet", engine)
    found = source.gram([Constant(1.0), Column("x")])
    np.testing.assert_array_equal(found.products, [[[3.0, 7.0], [7.0, 21.0]]])
    assert found.counts.tolist() == [3.0]


def test_cross_products_of_many_columns_within_groups_are_summed_in_parts(engine: DuckDBEngine, tmp_path: Path) -> None:
    # 11,476 sums in one statement with groups would end the process.
    values = np.random.default_rng(4).normal(size=(60, 151))
    names = [f"x{number}" for number in range(150)]
    frame = pl.DataFrame(values[:, :150], schema=names).with_columns(group=pl.Series([0, 1] * 30))
    source = stored(frame, tmp_path / "rows.parquet", engine)
    found = source.gram([Constant(1.0), *map(Column, names)], [Column("group")])
    for group in (0, 1):
        rows = np.column_stack([np.ones(30), values[group::2, :150]])
        np.testing.assert_allclose(found.products[group], rows.T @ rows, atol=1e-12)
    assert found.counts.tolist() == [30.0, 30.0]
