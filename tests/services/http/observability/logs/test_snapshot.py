"""A copy of a log record: bounded, masked, and independent of the objects that it was taken from."""

import logging
import sys

import pytest
import structlog

from cqox import telemetry
from services.http.observability.logs.snapshot import Entry, snapshot


def taken(message: object, *arguments: object, **rest: object) -> Entry:
    return snapshot(
        logging.LogRecord("x", logging.WARNING, __file__, 1, message, arguments, **{"exc_info": None} | rest)
    )


def shown(value: object) -> object:
    """Return what an entry holds of a value, with the texts of clipped strings."""
    match value:
        case dict():
            return {name: shown(each) for name, each in value.items()}
        case list():
            return [shown(each) for each in value]
        case None | bool() | int() | float():
            return value
        case _:
            return value.text


def field(value: object) -> object:
    return shown(taken({"event": "e", "field": value}).fields["field"])


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "text", [1, "two"], {"a": {"b": [None]}}])
def test_small_values_are_copied_unchanged(value: object) -> None:
    assert field(value) == value


def test_a_copy_does_not_follow_its_original() -> None:
    given = {"a": [1]}
    entry = taken({"event": "e", "field": given})
    given["a"].append(2)
    assert shown(entry.fields["field"]) == {"a": [1]}


def test_other_objects_become_their_repr_and_large_ones_say_what_is_left_out() -> None:
    assert field(ValueError("x")) == "ValueError('x')"
    assert field(2**256) == "an integer of 257 bits"
    assert field(2**256 - 1) == 2**256 - 1
    assert field(list(range(32))) == list(range(32))
    assert field(list(range(40))) == [*range(32), "8 more"]
    assert field({str(number): number for number in range(40)}) == {str(n): n for n in range(32)} | {"left_out": 8}
    assert field([[[[[1, 2]]]]]) == [[[["list of 2"]]]]


def test_secrets_are_masked_by_the_name_of_a_field_a_key_or_a_pair() -> None:
    entry = taken({"event": "e", "password": "hunter2", "headers": [("Cookie", "hunter2"), ("Accept", "json")]})
    assert shown(entry.fields["headers"])[1] == ["Accept", "json"]
    assert "hunter2" not in str(shown(dict(entry.fields)))
    assert "hunter2" not in str(field({"authorization": "hunter2"}))


def test_a_record_of_the_standard_library_has_the_bound_context_and_its_formatted_message() -> None:
    with structlog.contextvars.bound_contextvars(request_id="r"):
        entry = taken("%s of %d", "one", 2)
        own = taken({"event": "e", "n": 1})
    assert (entry.event.text, entry.level, entry.logger) == ("one of 2", "warning", "x")
    assert shown(dict(entry.fields)) == {"request_id": "r"}
    # structlog has merged it already.
    assert shown(dict(own.fields)) == {"n": 1}
    assert taken("%d", "one").event.text.startswith("%d (its arguments")


def test_an_entry_has_its_trace_its_exception_and_a_size_of_all_its_text() -> None:
    assert taken("e").trace == {}
    with telemetry.server_span("GET", None, parent=None, request_id="2" * 32):
        assert taken("e").trace["trace_id"] == "2" * 32
    assert taken("e").failure is None
    try:
        raise ValueError("x" * 500)
    except ValueError:
        failed = taken("e", exc_info=sys.exc_info())
    assert failed.failure is not None
    assert failed.size > 500
    assert taken({"event": "e", "field": "x" * 300}).size >= 300
