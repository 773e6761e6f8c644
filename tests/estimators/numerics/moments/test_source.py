import numpy as np

from cqox.estimators.numerics.moments import ArrayMoments, Column, Groups, Is, Moments, Totals


def test_a_table_in_memory_is_a_source_of_sums() -> None:
    source: Moments = ArrayMoments(columns={"x": np.arange(4.0)})
    assert isinstance(source.gram([Column("x")]), Groups)
    assert isinstance(source.where(Is(Column("x"), ">", 1.0)).sums([Column("x")], [Column("x")]), Totals)
