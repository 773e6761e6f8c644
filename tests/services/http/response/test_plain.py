"""The fields of a plain response are those that werkzeug's would be."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from services.http.response.plain import PlainResponse, ResponseFields, encoded_fields

NAMES = st.sampled_from(["vary", "Vary", "ETag", "x-é", "Content-Length"])
CHANGES: dict[str, Callable[[Headers | ResponseFields, str, str], object]] = {
    "set": lambda fields, name, value: fields.__setitem__(name, value),
    "add": lambda fields, name, value: fields.add(name, value),
    "default": lambda fields, name, value: fields.setdefault(name, value),
    "update": lambda fields, name, value: fields.update({name: value}),
    "get": lambda fields, name, value: fields.get(name, value),
    "find": lambda fields, name, value: fields.get(name),
    "has": lambda fields, name, value: name in fields,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), NAMES, st.sampled_from(["", "a", "é"]))))
def test_fields_change_as_those_of_werkzeug(changes: list[tuple[str, str, str]]) -> None:
    ours, theirs = ResponseFields(), Headers()
    for change, name, value in changes:
        found = CHANGES[change](ours, name, value), CHANGES[change](theirs, name, value)
        # Nobody needs the value that werkzeug returns from it.
        assert change == "default" or found[0] == found[1]
    assert encoded_fields(ours) == encoded_fields(theirs.items())
    assert [name for name, _ in ours] == [name.lower() for name, _ in theirs]


@given(st.binary(max_size=8))
def test_a_value_that_was_read_leaves_with_the_bytes_that_it_came_with(value: bytes) -> None:
    assert encoded_fields([("ETag", value.decode("latin1"))]) == [(b"etag", value)]


def test_a_text_beyond_latin1_is_written_in_utf8() -> None:
    assert encoded_fields([("x-title", "表")]) == [(b"x-title", "表".encode())]


@pytest.mark.parametrize(("sized", "length"), [(True, [("content-length", "3")]), (False, [])])
def test_the_length_of_the_body_comes_first_where_it_is_sent(sized: bool, length: list[tuple[str, str]]) -> None:
    response = PlainResponse(b"abc", 200, [("etag", "e")], sized=sized)
    assert (response.status_code, response.body) == (200, b"abc")
    assert [*response.headers] == [*length, ("etag", "e")]
