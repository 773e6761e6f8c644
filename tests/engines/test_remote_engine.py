import numpy as np
import pytest

from cqox.engines import POSTGRES, RemoteEngine
from cqox.engines.remote_engine import texts_of
from cqox.estimators import abandonable
from cqox.sources import NULL


def test_columns_are_those_of_the_answer() -> None:
    asked, reads = list[str](), list[int]()

    def run(statement: str) -> bytes:
        asked.append(statement)
        return np.array([2.0, 1.0, 10.0, np.nan, 20.0]).tobytes()

    engine = RemoteEngine(name="postgresql 17.1", dialect=POSTGRES, run=run, after_read=lambda: reads.append(1))
    first, second = engine.read("select a, b from t")
    np.testing.assert_array_equal(first, [1.0, np.nan])
    np.testing.assert_array_equal(second, [10.0, 20.0])
    assert asked == ["select a, b from t"]
    assert reads == [1]


def test_an_abandoned_computation_asks_nothing() -> None:
    def run(statement: str) -> bytes:
        raise AssertionError(statement)

    def check() -> None:
        raise KeyboardInterrupt

    with abandonable(check), pytest.raises(KeyboardInterrupt):
        RemoteEngine(name="", dialect=POSTGRES, run=run).read("select 1")


def test_texts_of_an_answer_are_none_where_a_value_is_null() -> None:
    assert texts_of(f'a,"b ""c"""\n{NULL},"d\ne"\n'.encode()) == [("a", 'b "c"'), (None, "d\ne")]
