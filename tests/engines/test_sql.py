import pytest

from cqox.engines import Dialect, SourceColumn, statement_of
from cqox.estimators.numerics.moments import Column, Constant, Exp, Is, Known, Quotient, case, linear, times

COLUMNS = {
    "x": SourceColumn(name="x", kind="number", floating=True),
    "n": SourceColumn(name='odd "name"', kind="number"),
    "word": SourceColumn(name="word", kind="word"),
}
X, N, WORD = Column("x"), Column("n"), Column("word")


def written(*roots, conditions=(), groups: int = 0):
    return statement_of(roots, table="t", columns=COLUMNS, conditions=conditions, dialect=Dialect(), groups=groups)


def test_what_is_used_twice_is_computed_once() -> None:
    shared = Exp(linear([(2.0, X)]))
    found = written(times(shared, shared), Quotient(N, linear([(1.0, shared)], 1.0)))
    assert found.rows.count("exp(") == 1
    assert not any("exp(" in text for text in found.texts)


def test_names_and_words_cannot_end_their_quotation() -> None:
    found = written(N, Is(WORD, "=", "it's; drop table t --"))
    assert '"odd ""name"""' in found.rows
    assert "'it''s; drop table t --'" in found.texts[1]


def test_columns_that_group_rows_keep_their_type() -> None:
    found = written(N, X, groups=1)
    assert 'select "odd ""name""" as c0' in found.rows
    assert "cast" in found.rows.partition("as c0")[2]


def test_every_digit_of_a_number_is_written() -> None:
    assert written(Constant(0.1 + 0.2)).texts == ("0.30000000000000004e0",)
    assert written(linear([(-1e-300, X)])).texts == ("((-1e-300) * c0)",)


def test_conditions_are_of_the_rows() -> None:
    found = written(X, conditions=[Known((X, WORD)), Is(N, ">=", 3.0)])
    assert "is not null" in found.rows
    assert ">= 3.0e0" in found.rows


def test_the_last_branch_takes_the_rest() -> None:
    (text,) = written(case(N, Constant(1.0), Constant(2.0), Constant(3.0))).texts
    assert text == "(case when c0 = 0 then 1.0e0 when c0 = 1 then 2.0e0 else 3.0e0 end)"


def test_a_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        written(Column("other"))
