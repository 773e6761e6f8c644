import pytest

from cqox.datasets.marks import is_mark


@pytest.mark.parametrize(("text", "expected"), [("○", True), ("Ｘ", True), ("YES", True), ("no", False), ("1", False)])
def test_a_mark_for_yes_is_known_in_any_width_and_case(text: str, expected: bool) -> None:
    assert is_mark(text) is expected
