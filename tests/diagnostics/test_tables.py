import pytest

from cqox.diagnostics.tables import above, below, number_in, skip, table_in, text_or
from cqox.estimators import Json


@pytest.mark.parametrize(
    ("value", "status"), [(0.0, "pass"), (1.0, "pass"), (1.5, "warn"), (2.0, "warn"), (2.5, "fail")]
)
def test_a_value_at_its_upper_threshold_is_within_it(value: float, status: str) -> None:
    assert above(value, 1.0, 2.0) == status


@pytest.mark.parametrize(
    ("value", "status"), [(3.0, "pass"), (2.0, "pass"), (1.5, "warn"), (1.0, "warn"), (0.5, "fail")]
)
def test_a_value_at_its_lower_threshold_is_within_it(value: float, status: str) -> None:
    assert below(value, 2.0, 1.0) == status


@pytest.mark.parametrize("value", [None, "1", True, False, [1.0], {}])
def test_what_is_not_a_number_is_none(value: Json) -> None:
    assert number_in(value) is None


@pytest.mark.parametrize("value", [1, 0, -2.5])
def test_a_number_is_a_float(value: float) -> None:
    assert number_in(value) == value
    assert type(number_in(value)) is float


def test_a_nested_table_is_found_and_a_missing_one_is_empty() -> None:
    tree: dict[str, Json] = {"a": {"b": {"c": 1}, "d": 2}}
    assert table_in(tree) == tree
    assert table_in(tree, "a", "b") == {"c": 1}
    assert table_in(tree, "a", "d") == table_in(tree, "b") == table_in(tree, "a", "b", "c", "e") == {}


def test_what_is_no_text_is_the_fallback() -> None:
    assert text_or("found", "fallback") == "found"
    assert text_or("", "fallback") == ""
    assert text_or(None, "fallback") == text_or(1, "fallback") == "fallback"


def test_a_gate_that_does_not_apply_has_its_rule_and_reason() -> None:
    gate = skip("A rule.", "A reason.")
    assert (gate.status, gate.rule, gate.reason) == ("not_applicable", "A rule.", "A reason.")
    assert (gate.value, gate.threshold) == (None, None)
