from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from cqox.estimators.numerics.moments import ArrayMoments, Column, Constant, Moments, case, linear
from tests.engines.contract import MomentsContract, in_memory, table


class TestArrays(MomentsContract):
    @pytest.fixture(scope="class")
    @classmethod
    def moments(cls) -> Moments:
        return replace(in_memory(table()), block=97, threads=2)


def test_cross_products_are_those_of_a_matrix() -> None:
    frame = table().drop_nans()
    x = np.column_stack([np.ones(len(frame)), frame["x0"], frame["y"]])
    weight = frame["x2"].to_numpy() ** 2
    columns = [Constant(1.0), Column("x0"), Column("y")]
    found = in_memory(frame.with_columns(w=pl.Series(weight))).gram(columns, weight=Column("w"))
    np.testing.assert_allclose(found.products[0], (x * weight[:, None]).T @ x, rtol=1e-12)
    assert found.counts.tolist() == [len(frame)]


def test_a_case_takes_more_branches_than_numpy_chooses_from() -> None:
    source = ArrayMoments(columns={"number": np.arange(60.0)})
    branches = [Constant(float(number * number)) for number in range(50)]
    expected = sum(min(number, 49) ** 2 for number in range(60))
    assert source.sums([case(Column("number"), *branches)]).sums[0] == expected


def test_a_missing_value_is_no_number() -> None:
    source = ArrayMoments(columns={"x": np.array([1.0, np.nan])})
    assert np.isnan(source.sums([linear([(2.0, Column("x"))])]).sums[0])
