"""Options of reading a file: as a JSON body, and as the text fields that an upload takes."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator

from cqox.contract.findings import ReshapingOptions
from cqox.contract.messages import Message
from cqox.contract.strict import Names
from cqox.errors import InvalidRequest

__all__ = ["ReadRequest", "decode_option", "read_fields"]

_NUMBERS = ("header_row", "header_rows")


class ReadRequest(ReshapingOptions):
    """Options of reading a file, by the names of an upload; each may also be the text that an upload has."""

    encoding: str | None = Field(None, description="Text encoding; detected if absent.")
    delimiter: str | None = Field(
        None, description="Delimiter of cells: comma, tab, semicolon or vertical bar; detected if absent."
    )
    decimal: Literal[".", ","] | None = Field(None, description="Decimal separator.")
    na: Names | None = Field(None, description="Markers of missing values; a list, or separated by commas.")
    sheet: str | int | None = Field(
        None, description="Sheet of a workbook, by name or by position from 0; the first if absent."
    )

    @model_validator(mode="before")
    @classmethod
    def _decoded(cls, values: Any) -> Any:  # noqa: ANN401 - what a client has sent
        if not isinstance(values, dict):
            return values
        found = {name: decode_option(name, value) for name, value in values.items()}
        if isinstance(found.get("na"), str):
            found["na"] = _tokens(found["na"])
        return found


def decode_option(name: str, value: JsonValue) -> JsonValue:
    """Return an option that came as text, as form fields and flags do, as a JSON value.

    Raises:
        InvalidRequest: the text of an option that takes JSON is none.
    """
    if not isinstance(value, str) or name not in ReshapingOptions.model_fields or name in _NUMBERS:
        return value
    if name == "fill_down" and not value.lstrip().startswith("["):
        return [word.strip() for word in value.split(",")]
    try:
        return json.loads(value)  # type: ignore[no-any-return]
    except ValueError:
        raise InvalidRequest(Message("datasets.option-takes-json", option=name), field=name) from None


def read_fields(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return options of reading as an upload has them: text, and the list of `na`; null counts as absent.

    The id of a data set is a digest of these, so values and the text of an upload give the same id.
    """
    options: dict[str, JsonValue] = {}
    for name, value in values.items():
        if value is None:
            continue
        if name == "na":
            options[name] = _tokens(value)
        else:
            options[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return options


def _tokens(value: JsonValue) -> JsonValue:
    return [str(token).strip() for token in (value if isinstance(value, list) else str(value).split(","))]
