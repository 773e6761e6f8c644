import pytest

from cqox.contract.amounts import amount, decimals_for, fixed, p_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234.5, "1,234"), (-0.01234, "−0.0123"), (3.14159, "3.14"), (1.5e9, "1.50e+09"), (2e-7, "2.00e−07")],
)
def test_an_amount_has_three_to_four_digits_and_a_true_minus(value, text):
    assert amount(value) == text


@pytest.mark.parametrize(("span", "decimals"), [(5000.0, 0), (50.0, 1), (2.0, 2), (0.02, 4), (0.0, 2), (1e-30, 8)])
def test_decimals_follow_the_span(span, decimals):
    assert decimals_for(span) == decimals


def test_a_number_that_rounds_to_nothing_has_no_sign():
    assert fixed(-0.0001, 2) == "0.00"
    assert fixed(-12.345, 1) == "−12.3"
    assert fixed(3e15, 2) == "3.00e+15"


def test_a_small_p_value_is_a_bound_and_never_zero():
    assert [p_text(value) for value in (0.0, 0.0009, 0.0123, 0.5, 1.0)] == [
        "p < 0.001", "p < 0.001", "p = 0.012", "p = 0.5", "p = 1",
    ]  # fmt: skip
