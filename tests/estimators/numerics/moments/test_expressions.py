import pytest

from cqox.estimators.numerics.moments import Case, Column, Constant, Is, Linear, case, children, linear, times

X, Y = Column("x"), Column("y")


def test_equal_expressions_are_one() -> None:
    first, second = (times(linear([(2.0, Column("x"))], 1.0), Column("y")) for _ in range(2))
    assert first == second
    assert len({first, second}) == 1
    assert times(X, Y) != times(Y, X)
    assert Column("1") != Constant(1.0)


def test_terms_of_factor_zero_are_left_out() -> None:
    assert linear([(0.0, X), (2.0, Y)], 1.0) == Linear(1.0, ((2.0, Y),))
    assert linear([(0.0, X)], 3.0) == Constant(3.0)


def test_a_product_of_nothing_is_one() -> None:
    assert times(None, None) == Constant(1.0)
    assert times(None, X) is X


def test_a_case_of_equal_branches_is_the_branch() -> None:
    assert case(X, Y, Y) is Y
    assert case(X, Y, X) == Case(X, (Y, X))


def test_children_are_what_an_expression_is_made_of() -> None:
    assert children(case(X, Y, Constant(0.0))) == (X, Y, Constant(0.0))
    assert children(linear([(2.0, X), (3.0, Y)])) == (X, Y)
    assert children(X) == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_constant_is_finite(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Constant(value)


def test_an_unknown_comparison_is_refused() -> None:
    with pytest.raises(ValueError, match="no comparison: !="):
        Is(X, "!=", 1.0)
