"""Flags of the command line as the mapping and the options of a request."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import JsonValue

from cqox.api.flags import flag_of
from cqox.contract import ROLES, Options
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.sources import Source, sql

__all__ = ["mapping_of", "options_of", "pairs_of", "read_options_of", "source_of"]


def mapping_of(roles: Mapping[str, Sequence[str]]) -> dict[str, JsonValue]:
    """Build the mapping of a request from flags; column names are separated by commas, quoted as in CSV.

    Raises:
        InvalidRequest: several columns were given for a role of one column.
    """
    mapping: dict[str, JsonValue] = {}
    for name, given in roles.items():
        if not given:
            continue
        if ROLES[name].arity == "columns":
            mapping[name] = [column.strip() for row in csv.reader(given, skipinitialspace=True) for column in row]
        elif len(given) > 1:
            raise InvalidRequest(Message("request.flag-of-one-column", flag=flag_of(name), given=len(given)))
        else:
            mapping[name] = given[0]
    return mapping


def options_of(given: Sequence[str]) -> dict[str, JsonValue]:
    """Return the options of an analysis from `name=value` strings.

    Raises:
        InvalidRequest: one of them has no equals sign.
    """
    return {name: _value(name, text) for name, text in pairs_of(given, "--option").items()}


def read_options_of(given: Sequence[str]) -> dict[str, JsonValue]:
    """Return the options of reading a file from `name=value` strings.

    Raises:
        InvalidRequest: one of them has no equals sign, or there is no such option.
    """
    from cqox.datasets import ReadOptions

    known = [field.name for field in fields(ReadOptions)]
    options: dict[str, JsonValue] = {}
    for name, value in pairs_of(given, "--read").items():
        if name not in known:
            raise InvalidRequest(Message("request.no-such-read-option", option=name), choices=known)
        options[name] = [word.strip() for word in value.split(",")] if name == "na" else value
    return options


def pairs_of(given: Sequence[str], flag: str) -> dict[str, str]:
    """Parse `name=value` strings to a mapping.

    Raises:
        InvalidRequest: one of them has no equals sign.
    """
    pairs: dict[str, str] = {}
    for text in given:
        name, found, value = text.partition("=")
        if not found:
            known = sorted(Options.model_fields) if flag == "--option" else ()
            raise InvalidRequest(Message("request.flag-takes-pairs", flag=flag, given=text), choices=known)
        pairs[name.strip()] = value
    return pairs


def source_of(data: str, query: str | None) -> Source:
    """Return the data of a command line: a file, a folder or an address, or the result of a query on an address.

    Raises:
        InvalidRequest: a query is given for an address that is not that of a database.
    """
    return data if query is None else sql(query, data)


def _value(name: str, text: str) -> JsonValue:
    """Parse an option's value as JSON or plain text; a list as JSON or separated by commas."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        value = text
    if value is None or isinstance(value, list | dict) or not _takes_several(name):
        return value
    return [word.strip() for word in text.split(",")]


def _takes_several(name: str) -> bool:
    field = Options.model_fields.get(name)
    return field is not None and _is_several(field.annotation)


def _is_several(form: object) -> bool:
    """Return whether a type is one of lists, alone, annotated or in a union."""
    if get_origin(form) in (list, tuple):
        return True
    return get_origin(form) in (Annotated, Union, UnionType) and any(map(_is_several, get_args(form)))
