"""Titles, notes and names that are accepted and refused."""

import pytest
from pydantic import JsonValue

from cqox.contract import MOST_NOTES, MOST_TITLE, AnnotationChange, DatasetChange, parse_model
from cqox.errors import InvalidRequest


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ({}, {}),
        ({"title": "  春の施策 "}, {"title": "春の施策"}),
        ({"title": None}, {"title": None}),
        ({"title": " \u3000"}, {"title": None}),
        ({"notes": " a\r\n\tb\n"}, {"notes": "a\n\tb"}),
        ({"notes": "", "title": "t"}, {"title": "t", "notes": None}),
        (
            {"title": "x" * MOST_TITLE, "notes": "字" * MOST_NOTES},
            {"title": "x" * MOST_TITLE, "notes": "字" * MOST_NOTES},
        ),
    ],
)
def test_an_absent_member_is_no_change_and_null_or_blank_removes(
    body: dict[str, JsonValue], changes: dict[str, str | None]
) -> None:
    assert parse_model(AnnotationChange, body).changes() == changes


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"title": "x" * (MOST_TITLE + 1)}, "title", "at most 200 characters"),
        ({"notes": "x" * (MOST_NOTES + 1)}, "notes", "at most 10000 characters"),
        ({"title": "a\nb"}, "title", "one line"),
        ({"title": "a\u2028b"}, "title", "one line"),
        ({"title": "a\0"}, "title", "one line"),
        ({"notes": "a\0"}, "notes", "no control characters"),
        ({"notes": "\x1b[31m"}, "notes", "no control characters"),
        ({"title": 3}, "title", "text"),
        ({"titel": "t"}, "titel", "title"),
    ],
)
def test_what_is_no_title_or_no_notes_is_refused_by_its_field(
    body: dict[str, JsonValue], field: str, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        parse_model(AnnotationChange, body)
    assert caught.value.field == field


def test_a_data_set_keeps_a_name() -> None:
    assert parse_model(DatasetChange, {"name": " n "}).name == "n"
    for name in ("", " ", None, "a\nb", "x" * (MOST_TITLE + 1)):
        with pytest.raises(InvalidRequest) as caught:
            parse_model(DatasetChange, {"name": name})
        assert caught.value.field == "name"
