"""A body as a model, or what to change in it so that it can be one."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from cqox.contract.bounds import check_size, shortened
from cqox.contract.json_kinds import json_kind
from cqox.contract.messages import Message, of
from cqox.contract.options import Options
from cqox.contract.request import AnalyzeRequest, Assignment
from cqox.contract.words import near_words, unknown_word
from cqox.errors import InvalidRequest

__all__ = ["parse_model"]

_FIELD = Message("request.word-field")
_QUOTED = re.compile(r"'([^']*)'")

_TEXT, _BOOLEAN = Message("request.text"), Message("request.a-boolean")
_NUMBER, _WHOLE_NUMBER = Message("request.a-number"), Message("request.a-whole-number")

_TAKES: Mapping[str, Message] = {
    "string_type": _TEXT,
    "list_type": Message("request.a-list"),
    "tuple_type": Message("request.a-list"),
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": Message("request.a-smaller-whole-number"),
    "int_from_float": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": Message("request.a-finite-number"),
    "model_type": Message("request.an-object"),
    "dict_type": Message("request.an-object"),
}
"""Description of the values that a field takes, by pydantic's type of error."""

_TYPES: Mapping[str, Message] = {
    "str": _TEXT,
    "float": _NUMBER,
    "int": _WHOLE_NUMBER,
    "bool": _BOOLEAN,
    "dict[str,float]": Message("request.an-object"),
}
"""The types of a union as pydantic ends the place of an error with them."""


def parse_model[M: BaseModel](model: type[M], body: JsonValue) -> M:
    """The body as a model.

    Raises:
        InvalidRequest: the body does not fit; the first thing to correct is named, with what it takes, and the valid
            names where a field or a value is unknown.
    """
    if not isinstance(body, dict):
        raise InvalidRequest(Message("request.body-is-no-object", kind=json_kind(body)))
    check_size(body)
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise _translated(model, body, error.errors(include_url=False)) from None


def _translated(
    model: type[BaseModel], body: Mapping[str, JsonValue], errors: Sequence[ErrorDetails]
) -> InvalidRequest:
    # Of a field under another name both are wrong: that it is unknown and that one is missing. The first says more.
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"] if not _is_tag(part)]
    if model is AnalyzeRequest and path[0] == "mapping" and first["type"] != "missing":
        return _of_mapping(body["mapping"])
    where = ".".join(shortened(part) for part in path)
    if first["type"] == "extra_forbidden":
        return _of_extra(model, path, where)
    if first["type"] == "missing":
        return InvalidRequest(Message("request.missing-field", field=where), field=where)
    if first["type"] == "literal_error":
        return _of_choice(first, where)
    if path[-1] in _TYPES:
        where = ".".join(shortened(part) for part in path[:-1])
        names = [str(error["loc"][-1]) for error in errors if error["loc"][:-1] == first["loc"][:-1]]
        takes = Message("request.alternatives", alternatives=[_TYPES.get(name, name) for name in names])
        why = Message("request.takes-other", given=_shown(first["input"]), takes=takes)
        return InvalidRequest(Message("request.unusable-field", field=where, why=why), field=where)
    return InvalidRequest(Message("request.unusable-field", field=where, why=_why(first)), field=where)


def _is_tag(part: object) -> bool:
    """Return whether a part of an error's place is no field: the form of a union that did not fit."""
    return isinstance(part, str) and (part.endswith("]") or part.startswith("constrained-"))


def _of_choice(error: ErrorDetails, where: str) -> InvalidRequest:
    choices = _QUOTED.findall(error["ctx"]["expected"])
    near = near_words(str(error["input"]), choices)
    given = _shown(error["input"])
    detail = (
        Message("request.no-such-choice-with-near", choices=choices, field=where, given=given, near=near)
        if near
        else Message("request.no-such-choice", choices=choices, field=where, given=given)
    )
    return InvalidRequest(detail, field=where, choices=[*near, *(choice for choice in choices if choice not in near)])


def _why(error: ErrorDetails) -> Message:
    """Return why a value is not accepted, as a clause."""
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    match kind:
        case "too_short" | "too_long" if "actual_length" in context:
            count = context["min_length" if kind == "too_short" else "max_length"]
            return Message("request.takes-values", count=count, given=context["actual_length"])
        case "string_too_short":
            return Message("request.takes-text-of-at-least", characters=context["min_length"])
        case "string_too_long":
            return Message("request.takes-text-of-at-most", characters=context["max_length"])
        case "list_type" if isinstance(given, str | int | float):
            return Message("request.takes-list-such-as", item=_shown(given))
        case "value_error":
            said = context["error"].args
            return said[0] if said and isinstance(said[0], Message) else of(error["msg"].removeprefix("Value error, "))
        case _:
            takes = _TAKES.get(kind) or _bounded(kind, context)
            return (
                of(error["msg"]) if takes is None else Message("request.takes-other", given=_shown(given), takes=takes)
            )


def _bounded(kind: str, context: Mapping[str, Any]) -> Message | None:
    match kind:
        case "greater_than":
            return Message("request.a-number-above", bound=context["gt"])
        case "greater_than_equal":
            return Message("request.a-number-from", bound=context["ge"])
        case "less_than":
            return Message("request.a-number-below", bound=context["lt"])
        case "less_than_equal":
            return Message("request.a-number-up-to", bound=context["le"])
        case _:
            return None


def _of_extra(model: type[BaseModel], path: Sequence[str], where: str) -> InvalidRequest:
    owner = model
    for part in path[:-1]:
        annotation = owner.model_fields[part].annotation if part in owner.model_fields else None
        owner = _model_in(annotation) or owner
    word, valid = path[-1], sorted(owner.model_fields)
    if owner is AnalyzeRequest and word in Options.model_fields:
        cure = Message("request.send-as-option", option=word)
        return unknown_word(_FIELD, word, valid, field=where, cure=cure)
    return unknown_word(Message("request.word-option") if owner is Options else _FIELD, word, valid, field=where)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model that a field takes, alone, in a list or where it is not null."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _of_mapping(mapping: JsonValue) -> InvalidRequest:
    """Describe an invalid mapping: it may have two forms, and the errors of both say little about either."""
    if isinstance(mapping, dict):
        for role, given in mapping.items():
            if not _is_mapped(given):
                what = Message("request.the-role", role=shortened(role))
                return _of_mapped(what, given, f"mapping.{shortened(role)}")
        return InvalidRequest(Message("request.unusable-mapping"), field="mapping")
    if not isinstance(mapping, list):
        return _of_kind("mapping", mapping)
    for place, item in enumerate(mapping):
        where = f"mapping.{place}"
        if not isinstance(item, dict):
            return _of_kind(where, item)
        for name in item:
            if name not in Assignment.model_fields:
                return unknown_word(_FIELD, name, sorted(Assignment.model_fields), field=f"{where}.{shortened(name)}")
        for name in Assignment.model_fields:
            if name not in item:
                return InvalidRequest(
                    Message("request.missing-field", field=f"{where}.{name}"), field=f"{where}.{name}"
                )
        if not isinstance(item["role"], str):
            why = Message("request.takes-other", given=_shown(item["role"]), takes=_TEXT)
            return InvalidRequest(
                Message("request.unusable-field", field=f"{where}.role", why=why), field=f"{where}.role"
            )
        if not _is_mapped(item["column"]):
            what = Message("request.the-field", field=f"{where}.column")
            return _of_mapped(what, item["column"], f"{where}.column")
    return InvalidRequest(Message("request.unusable-mapping"), field="mapping")


def _of_kind(where: str, value: JsonValue) -> InvalidRequest:
    return InvalidRequest(Message("request.unusable-as-mapping", field=where, kind=json_kind(value)), field=where)


def _is_mapped(given: JsonValue) -> bool:
    if isinstance(given, list):
        return all(isinstance(each, str) for each in given)
    return isinstance(given, str) or (isinstance(given, int | float) and abs(given) <= sys.float_info.max)


def _of_mapped(what: Message, given: JsonValue, where: str) -> InvalidRequest:
    if isinstance(given, list):
        wrong = next(each for each in given if not isinstance(each, str))
        return InvalidRequest(Message("request.list-holds-no-names", given=_shown(wrong), what=what), field=where)
    if isinstance(given, int | float):
        return InvalidRequest(Message("request.number-too-large", what=what), field=where)
    if given is None:
        return InvalidRequest(Message("request.null-for-a-column", what=what), field=where)
    return InvalidRequest(Message("request.takes-columns", given=_shown(given), what=what), field=where)


def _shown(value: object) -> str:
    """The value as JSON, or what it is where that would be long."""
    if isinstance(value, list | dict):
        return json_kind(value)
    return shortened(json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f'"{shortened(value)}"')
