"""The fields of a plain response are those that werkzeug's would be."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quart.utils import encode_headers
from werkzeug.datastructures import Headers

from services.http.response.plain import PlainResponse, ResponseFields

NAMES = st.sampled_from(["vary", "Vary", "ETag", "x-é", "Content-Length"])
CHANGES: dict[str, Callable[[Headers | ResponseFields, str, str], object]] = {
    "set": lambda fields, name, value: fields.__setitem__(name, value),
    "add": lambda fields, name, value: fields.add(name, value),
    "default": lambda fields, name, value: fields.setdefault(name, value),
    "update": lambda fields, name, value: fields.update({name: value}),
    "get": lambda fields, name, value: fields.get(name, value),
    "has": lambda fields, name, value: name in fields,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), NAMES, st.sampled_from(["", "a", "é"]))))
def test_fields_change_as_those_of_werkzeug(changes: list[tuple[str, str, str]]) -> None:
    ours, theirs = ResponseFields(), Headers()
    for change, name, value in changes:
        found = CHANGES[change](ours, name, value), CHANGES[change](theirs, name, value)
        # Nobody needs the value that werkzeug returns from it.
        assert change == "default" or found[0] == found[1]
    assert ours.encoded() == encode_headers(theirs)
    assert [name for name, _ in ours] == [name.lower() for name, _ in theirs]


@pytest.mark.parametrize(("sized", "length"), [(True, [("content-length", "3")]), (False, [])])
def test_the_length_of_the_body_comes_first_where_it_is_sent(sized: bool, length: list[tuple[str, str]]) -> None:
    response = PlainResponse(b"abc", 200, [("etag", "e")], sized=sized)
    assert (response.status_code, response.body) == (200, b"abc")
    assert [*response.headers] == [*length, ("etag", "e")]
