import sys

from cqox.analysis.weight import weight_of


def test_all_that_a_value_holds_is_counted() -> None:
    text = "a" * 1_000
    assert weight_of(text) == sys.getsizeof(text)
    value = {"a": [text, {"b": text}], "c": None}
    assert weight_of(value) > 2 * sys.getsizeof(text) + sys.getsizeof(value)
    assert weight_of([[1.5] * 10]) == sys.getsizeof([0]) + sys.getsizeof([1.5] * 10) + 10 * sys.getsizeof(1.5)
