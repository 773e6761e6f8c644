"""Names that are unique and visible, whatever the headers were."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from cqox.datasets.headers import name_columns


def _names(*originals: str) -> list[str]:
    return [header.name for header in name_columns(originals)[0]]


def test_headers_are_composed_and_trimmed_and_kept() -> None:
    headers, _ = name_columns(["か\u3099", " y\n(円) ", "\ufeffw", "x\u200b"])
    assert [header.name for header in headers] == ["が", "y (円)", "w", "x"]
    assert [header.original for header in headers] == ["か\u3099", " y\n(円) ", "\ufeffw", "x\u200b"]


def test_characters_without_a_form_are_taken_out() -> None:
    assert _names("y\ufffe", "\u2066w\u2069", "x\x9b\ufdd0", "a\x85b") == ["y", "w", "x", "a b"]


def test_empty_headers_are_named_by_position_and_repeated_ones_numbered() -> None:
    assert _names("", "a", " ", "a", "a") == ["column_1", "a", "column_3", "a_2", "a_3"]


def test_a_given_name_never_collides_with_a_real_one() -> None:
    assert len(set(_names("a", "a", "a_2", "", "column_4", "a_3", "a"))) == 7
    assert _names("a", "a", "a_2") == ["a", "a_3", "a_2"]
    assert _names("", "column_1") == ["column_1_2", "column_1"]


def test_headers_equal_only_in_different_forms_are_repeated() -> None:
    assert _names("が", "か\u3099") == ["が", "が_2"]


@given(st.lists(st.text(max_size=4), max_size=12))
def test_names_are_always_unique_composed_and_not_blank(originals: list[str]) -> None:
    names = _names(*originals)
    assert len(set(names)) == len(originals)
    assert all(name.strip() == name and name for name in names)
    assert all(unicodedata.is_normalized("NFC", name) for name in names)


def test_a_header_that_needs_no_cleaning_keeps_its_name_wherever_it_stands() -> None:
    assert _names("y ", "y", "w") == ["y_2", "y", "w"]
    assert _names("\u200by", " y", "y", "y") == ["y_2", "y_3", "y", "y_4"]
    assert _names("か\u3099", "が") == ["が_2", "が"]
    assert _names("y ", "y", "y_2") == ["y_3", "y", "y_2"]
    assert _names(" y", "y\n") == ["y", "y_2"]
    _, (note,) = name_columns(["y ", "y"])
    assert str(note) == "Repeated headers were numbered: 'y' (column 1) is now 'y_2'."


@given(st.lists(st.text("ay_2 \u200b*^$", max_size=3), max_size=8))
def test_a_clean_header_is_the_name_of_its_own_column(originals: list[str]) -> None:
    names = _names(*originals)
    for original in originals:
        if _names(original) == [original] and not original.startswith("column_"):
            assert originals.index(original) == names.index(original)
