"""Models of every request body.

Shape only; whether the named columns exist and can play their roles is for `cqox.analysis`, which has the data.
"""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Annotated, Any

from pydantic import ConfigDict, FailFast, Field, model_validator

from cqox.contract.bounds import MAX_SHOWN_CHARACTERS, MOST_COLUMNS, shortened
from cqox.contract.messages import Message
from cqox.contract.options import Options
from cqox.contract.repeated import check_repeated
from cqox.contract.roles import ROLES, ROLES_IN_WORDS, canonical_role, near_roles
from cqox.contract.strict import Names, Strict
from cqox.contract.words import unknown_word
from cqox.errors import InvalidRequest

__all__ = [
    "MOST_OF_A_SOURCE",
    "MOST_OF_A_TABLE",
    "AnalyzeRequest",
    "Assignment",
    "InferRequest",
    "Mapped",
    "RoleMapping",
]

MOST_OF_A_SOURCE, MOST_OF_A_TABLE = 60, 130
"""Characters of the names of a source and of a table in place: together they are an id of a data set."""

type Mapped = str | float | tuple[str, ...]
"""Normalised value of a role: a column, several columns, or a scalar (a number, or a date as ISO text)."""

type RoleMapping = Mapping[str, Mapped]
"""Canonical role names to what plays them."""

_LOOSE_DATE = re.compile(r"^(\d{4})(?:[-/.]|年\s*)(\d{1,2})(?:(?:[-/.]|月\s*)(\d{1,2})日?|月)?(?=$|[T\s])")
"""Years, months and days as columns of dates have them; a month without a day is its first day."""


class Assignment(Strict):
    """One role and what plays it, for the list form of a mapping."""

    role: str
    column: str | Names | float


def _without_id(schema: dict[str, Any]) -> None:
    """Say that the id is not required: a table in place has none in a request."""
    schema["required"].remove("dataset_id")
    if not schema["required"]:
        del schema["required"]


class OfData(Strict):
    """A request on a data set or on a table in place."""

    model_config = ConfigDict(json_schema_extra=_without_id)

    dataset_id: Annotated[
        str, Field(min_length=1, max_length=200, description="The data set; absent where a table in place is named.")
    ]
    source: Annotated[str, Field(min_length=1, max_length=MOST_OF_A_SOURCE)] | None = Field(
        None, description="The source of a table that stays where it is, from `/api/sources`; needs `table`."
    )
    table: Annotated[str, Field(min_length=1, max_length=MOST_OF_A_TABLE)] | None = Field(
        None, description="One of the tables of the source."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_table(cls, body: object) -> object:
        """Give a table in place an id of its own, by which reports and jobs name it."""
        if not isinstance(body, dict) or (body.get("source") is None and body.get("table") is None):
            return body
        named = f"source:{body.get('source')}:{body.get('table')}"
        if body.get("source") is None or body.get("table") is None or body.get("dataset_id", named) != named:
            raise InvalidRequest(Message("sources.one-of-both"), field="source", choices=["dataset_id", "source"])
        return {**body, "dataset_id": named}


class AnalyzeRequest(OfData):
    """The body of `POST /api/analyze/comprehensive` and of `POST /api/analyze/preview`."""

    mapping: dict[str, str | float | Names] | Annotated[list[Assignment], FailFast()] = Field(
        description="Which column plays which role, as `{role: column | [columns] | number}` or `[{role, column}]`. Of "
        f"several words for a role, reports use the first.\n\n{ROLES_IN_WORDS}"
    )
    options: Options = Options()  # type: ignore[call-arg]

    def roles(self) -> tuple[RoleMapping, Mapping[str, str]]:
        """The mapping under canonical names, and the aliases that were translated on the way (word to role).

        Raises:
            InvalidRequest: an unknown role, a role given twice, or a role given the wrong kind of value or too many.
        """
        given: list[tuple[str, str | float | list[str]]]
        if isinstance(self.mapping, dict):
            given = list(self.mapping.items())
        else:
            given = [(item.role, item.column) for item in self.mapping]
        several: dict[str, list[str]] = {}
        single: dict[str, str | float] = {}
        aliases: dict[str, str] = {}
        for word, value in given:
            name = canonical_role(word)
            if name is None:
                raise unknown_word(
                    Message("request.word-role"), word, sorted(ROLES), field="mapping", near=near_roles(word)
                )
            if name != word:
                aliases[word] = name
            if ROLES[name].arity == "columns":
                several.setdefault(name, []).extend(_columns(name, value))
            elif name in single:
                raise InvalidRequest(Message("request.role-mapped-twice", role=name), field=f"mapping.{name}")
            else:
                single[name] = _one(name, value)
        for name, columns in several.items():
            _check_columns(name, columns)
        merged: dict[str, Mapped] = {**single, **{name: tuple(columns) for name, columns in several.items() if columns}}
        return {name: merged[name] for name in ROLES if name in merged}, aliases


class InferRequest(OfData):
    """The body of `POST /api/roles/infer`."""


def _check_columns(name: str, columns: Sequence[str]) -> None:
    if len(columns) > MOST_COLUMNS:
        raise InvalidRequest(
            Message("request.too-many-columns", columns=len(columns), most=MOST_COLUMNS, role=name),
            field=f"mapping.{name}",
        )
    check_repeated(Message("request.the-role", role=name), columns, field=f"mapping.{name}")


def _columns(name: str, value: str | float | list[str]) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return value
    raise InvalidRequest(Message("request.number-for-columns", number=value, role=name), field=f"mapping.{name}")


def _one(name: str, value: str | float | list[str]) -> str | float:
    arity = ROLES[name].arity
    if isinstance(value, list):
        if len(value) != 1:
            detail = (
                Message("request.takes-one-number", given=len(value), role=name)
                if arity == "scalar"
                else Message("request.takes-one-column", given=len(value), role=name)
            )
            raise InvalidRequest(detail, field=f"mapping.{name}")
        value = value[0]
    if arity == "scalar":
        scalar = _scalar(value)
        if scalar is None:
            given = shortened(value) if isinstance(value, str) else value
            raise InvalidRequest(Message("request.no-scalar", given=given, role=name), field=f"mapping.{name}")
        return scalar
    if not isinstance(value, str):
        raise InvalidRequest(Message("request.number-for-a-column", number=value, role=name), field=f"mapping.{name}")
    return value


def _scalar(value: str | float) -> str | float | None:
    """The number, or a date as ISO text in UTC without its zone; None where it is neither."""
    if isinstance(value, str) and len(value) > MAX_SHOWN_CHARACTERS:
        return None
    try:
        number = float(value)
    except ValueError:
        return _date(str(value))
    return number if math.isfinite(number) else None


def _date(text: str) -> str | None:
    narrow = unicodedata.normalize("NFKC", text).strip()
    found = _LOOSE_DATE.match(narrow)
    if found:
        year, month, day = found[1], found[2], found[3] or "1"
        narrow = f"{year}-{month:0>2}-{day:0>2}{narrow[found.end() :]}"
    try:
        moment = datetime.fromisoformat(narrow)
        moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None
    return moment.date().isoformat() if moment.time() == time() else moment.isoformat(sep=" ")
