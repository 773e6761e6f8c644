"""Keyword arguments of Python as the mapping and the options of a request."""

import datetime
from collections.abc import Mapping, Sequence, Set

from pydantic import JsonValue

from cqox.contract import ALIASES, ROLES, Options, canonical_role, near_words
from cqox.contract.bounds import shortened
from cqox.contract.messages import LANGUAGES, Message
from cqox.errors import InvalidRequest

__all__ = ["as_json", "check_language", "reading_options", "split"]

_AUTO = "auto"


def split(given: Mapping[str, object]) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
    """Return the roles and the options among keyword arguments; None counts as absent.

    `covariates` is a role, and `covariates="auto"` the option of that name.

    Raises:
        InvalidRequest: a name is neither a role nor an option.
    """
    mapping: dict[str, JsonValue] = {}
    options: dict[str, JsonValue] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name == "covariates" and isinstance(value, str) and value == _AUTO:
            options[name] = value
        elif canonical_role(name) is not None:
            mapping[name] = _json(name, value)
        elif name in Options.model_fields:
            options[name] = _json(name, value)
        else:
            raise _unknown(name)
    return mapping, options


def as_json(given: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return values by name as JSON; None counts as absent.

    Raises:
        InvalidRequest: a value has no JSON form.
    """
    return {name: _json(name, value) for name, value in given.items() if value is not None}


def reading_options(read: Mapping[str, object] | None) -> dict[str, JsonValue]:
    """Return options of reading a file as JSON.

    Raises:
        InvalidRequest: they are no mapping, or a value has no JSON form.
    """
    if read is not None and not isinstance(read, Mapping):
        raise InvalidRequest(Message("request.no-mapping", name="read", type=type(read).__name__), field="read")
    return as_json(read or {})


def check_language(language: object) -> None:
    """Refuse a language without a catalog of sentences.

    Raises:
        InvalidRequest: there is none; `choices` are those that have one.
    """
    if language not in LANGUAGES:
        detail = Message(
            "request.no-such-choice", choices=list(LANGUAGES), field="language", given=shortened(repr(language))
        )
        raise InvalidRequest(detail, field="language", choices=LANGUAGES)


def _unknown(name: str) -> InvalidRequest:
    known = [*ROLES, *Options.model_fields]
    near = list(dict.fromkeys(ALIASES.get(word, word) for word in near_words(name, [*known, *ALIASES])))
    if near:
        return InvalidRequest(Message("request.no-such-keyword-near", name=name, near=near), field=name, choices=near)
    return InvalidRequest(Message("request.no-such-keyword", name=name), field=name, choices=sorted(known))


def _json(name: str, value: object) -> JsonValue:
    """Return a value as JSON: numpy scalars and arrays, tuples, sets, pandas indexes and dates included."""
    if hasattr(value, "tolist"):  # of numpy and pandas, a float64 is a float as well
        return _json(name, value.tolist())
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _json(name, each) for key, each in value.items()}
    if isinstance(value, Set):
        return [_json(name, each) for each in sorted(value, key=str)]
    if hasattr(value, "model_dump"):
        return value.model_dump(exclude_unset=True)  # type: ignore[no-any-return]
    if isinstance(value, Sequence) or hasattr(value, "__iter__"):
        return [_json(name, each) for each in value]
    raise InvalidRequest(Message("request.no-json", name=name, type=type(value).__name__), field=name)
