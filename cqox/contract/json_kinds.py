"""Words for the kinds of JSON values."""

from pydantic import JsonValue

from cqox.contract.messages import Message

__all__ = ["json_kind"]


def json_kind(value: JsonValue) -> Message:
    """Return what kind of JSON value it is, with its article."""
    match value:
        case None:
            return Message("request.a-null")
        case bool():
            return Message("request.a-boolean")
        case dict():
            return Message("request.an-object")
        case list():
            return Message("request.an-array")
        case str():
            return Message("request.a-string")
        case _:
            return Message("request.a-number")
