"""A body as a model, or what to change in it so that it can be one."""

import json
import re
import sys
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from cqox.contract.bounds import check_size, shortened
from cqox.contract.request import AnalyzeRequest, Assignment, Options
from cqox.contract.words import near_words, unknown_word
from cqox.errors import InvalidRequest

__all__ = ["parse_model"]

_MAPPING = 'Send an object such as {"y": "sales", "treatment": "campaign"}, or a list of {"role": …, "column": …}.'
_QUOTED = re.compile(r"'([^']*)'")

_TAKES: Mapping[str, str] = {
    "string_type": "text", "list_type": "a list", "tuple_type": "a list", "bool_type": "true or false",
    "bool_parsing": "true or false", "int_type": "a whole number", "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of less size", "int_from_float": "a whole number", "float_type": "a number",
    "float_parsing": "a number", "finite_number": "a finite number", "model_type": "an object",
}  # fmt: skip
"""What a field takes, by the error that another value is."""

_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("a number above", "gt"),
    "greater_than_equal": ("a number from", "ge"),
    "less_than": ("a number below", "lt"),
    "less_than_equal": ("a number up to", "le"),
}
_TYPES: Mapping[str, str] = {"str": "text", "float": "a number", "int": "a whole number", "bool": "true or false"}
"""The types of a union as pydantic ends the place of an error with them."""


def parse_model[M: BaseModel](model: type[M], body: JsonValue) -> M:
    """The body as a model.

    Raises:
        InvalidRequest: the body does not fit; the first thing to correct is named, with what it takes, and the valid
            names where a field or a value is unknown.
    """
    if not isinstance(body, dict):
        raise InvalidRequest(f"The body must be a JSON object, not {_json_kind(body)}.")
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
    path = [str(part) for part in first["loc"] if not (isinstance(part, str) and part.endswith("]"))]
    if model is AnalyzeRequest and path[0] == "mapping" and first["type"] != "missing":
        return _of_mapping(body["mapping"])
    where = ".".join(shortened(part) for part in path)
    if first["type"] == "extra_forbidden":
        return _of_extra(model, path, where)
    if first["type"] == "missing":
        return InvalidRequest(f"The field '{where}' is missing.", field=where)
    if first["type"] == "literal_error":
        choices = _QUOTED.findall(first["ctx"]["expected"])
        near = near_words(str(first["input"]), choices)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        return InvalidRequest(
            f"'{where}' cannot be used: it takes one of {', '.join(choices)}, not {_shown(first['input'])}.{hint}",
            field=where,
            choices=[*near, *(choice for choice in choices if choice not in near)],
        )
    if path[-1] in _TYPES:
        where = ".".join(shortened(part) for part in path[:-1])
        names = [str(error["loc"][-1]) for error in errors if error["loc"][:-1] == first["loc"][:-1]]
        takes = " or ".join(_TYPES.get(name, name) for name in names)
        return InvalidRequest(f"'{where}' cannot be used: it takes {takes}, not {_shown(first['input'])}.", field=where)
    return InvalidRequest(f"'{where}' cannot be used: {_why(first)}.", field=where)


def _why(error: ErrorDetails) -> str:
    kind, given = error["type"], error["input"]
    if kind in ("too_short", "too_long") and "actual_length" in error["ctx"]:
        bound = "min_length" if kind == "too_short" else "max_length"
        return f"it takes {error['ctx'][bound]} values, not {error['ctx']['actual_length']}"
    if kind in ("string_too_short", "string_too_long"):
        bound = "min_length" if kind == "string_too_short" else "max_length"
        return f"it takes text of {'at least' if bound == 'min_length' else 'at most'} {error['ctx'][bound]} characters"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"it takes {words} {error['ctx'][bound]:g}{' on' if bound == 'ge' else ''}, not {_shown(given)}"
    if kind == "list_type" and isinstance(given, str | int | float):
        return f"it takes a list, such as [{_shown(given)}]"
    if kind in _TAKES:
        return f"it takes {_TAKES[kind]}, not {_shown(given)}"
    return error["msg"].removeprefix("Value error, ")


def _of_extra(model: type[BaseModel], path: Sequence[str], where: str) -> InvalidRequest:
    owner = model
    for part in path[:-1]:
        annotation = owner.model_fields[part].annotation if part in owner.model_fields else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            owner = annotation
    word, valid = path[-1], sorted(owner.model_fields)
    if owner is AnalyzeRequest and word in Options.model_fields:
        cure = f'It is an option: send it as {{"options": {{"{word}": …}}}}.'
        return unknown_word("field", word, valid, field=where, cure=cure)
    return unknown_word("option" if owner is Options else "field", word, valid, field=where)


def _of_mapping(mapping: JsonValue) -> InvalidRequest:
    """Describe an invalid mapping: it may have two forms, and the errors of both say little about either."""
    if isinstance(mapping, dict):
        for role, given in mapping.items():
            if not _is_mapped(given):
                return _of_mapped(f"The role '{shortened(role)}'", given, f"mapping.{shortened(role)}")
        return InvalidRequest(f"'mapping' cannot be used. {_MAPPING}", field="mapping")
    if not isinstance(mapping, list):
        return InvalidRequest(f"'mapping' cannot be used as {_json_kind(mapping)}. {_MAPPING}", field="mapping")
    for place, item in enumerate(mapping):
        where = f"mapping.{place}"
        if not isinstance(item, dict):
            return InvalidRequest(f"'{where}' cannot be used as {_json_kind(item)}. {_MAPPING}", field=where)
        for name in item:
            if name not in Assignment.model_fields:
                return unknown_word("field", name, sorted(Assignment.model_fields), field=f"{where}.{shortened(name)}")
        for name in Assignment.model_fields:
            if name not in item:
                return InvalidRequest(f"The field '{where}.{name}' is missing.", field=f"{where}.{name}")
        if not isinstance(item["role"], str):
            return InvalidRequest(
                f"'{where}.role' cannot be used: it takes text, not {_shown(item['role'])}.", field=f"{where}.role"
            )
        if not _is_mapped(item["column"]):
            return _of_mapped(f"'{where}.column'", item["column"], f"{where}.column")
    return InvalidRequest(f"'mapping' cannot be used. {_MAPPING}", field="mapping")


def _is_mapped(given: JsonValue) -> bool:
    if isinstance(given, list):
        return all(isinstance(each, str) for each in given)
    return isinstance(given, str) or (isinstance(given, int | float) and abs(given) <= sys.float_info.max)


def _of_mapped(what: str, given: JsonValue, where: str) -> InvalidRequest:
    if isinstance(given, list):
        wrong = next(each for each in given if not isinstance(each, str))
        return InvalidRequest(f"{what} takes names of columns, and its list holds {_shown(wrong)}.", field=where)
    if isinstance(given, int | float):
        return InvalidRequest(f"{what} takes no number of that size.", field=where)
    away = " Leave out a role that no column plays." if given is None else ""
    return InvalidRequest(
        f"{what} takes the name of a column, or a list of them, not {_shown(given)}.{away}", field=where
    )


def _shown(value: object) -> str:
    """The value as JSON, or what it is where that would be long."""
    if isinstance(value, list | dict):
        return _json_kind(value)
    return shortened(json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f'"{shortened(value)}"')


def _json_kind(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return "a string"
        case _:
            return "a number"
