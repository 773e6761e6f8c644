"""The answer that shows the file of a data set before it is read again."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from cqox.contract.answer_model import AnswerModel, Sentence

__all__ = ["FileSheets", "SheetPreview"]


class SheetPreview(AnswerModel):
    """A sheet of a workbook, or the one table of a text."""

    name: Annotated[str | None, Field(description="As `sheet` takes it; null for a text.")] = None
    rows: Annotated[int | None, Field(description="Down to the last one that holds anything; null for a text.")] = None
    columns: int
    hidden: bool = False
    header_row: Annotated[
        int | None, Field(description="The row that looks like the header, as `header_row` takes it; null for none.")
    ] = None
    cells: Annotated[
        Sequence[Sequence[str | None]],
        Field(
            description="The first rows as they are in the file, from row 1: at most 20 rows of 100 columns, long "
            "cells cut. Of a text each line is a row."
        ),
    ] = ()


class FileSheets(AnswerModel):
    """The answer of `GET /api/datasets/{dataset_id}/sheets`."""

    dataset_id: str
    original: bool = Field(description="Whether the uploaded file is kept, so that it can be read again.")
    read: Mapping[str, JsonValue] | None = Field(
        None, description="The read options of the upload, as `/read` takes them; null where they are not known."
    )
    format: Literal["workbook", "text", "json", "parquet", "arrow"] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheets: Sequence[SheetPreview] = ()
    note: Sentence | None = Field(None, description="Why there is no sheet.")
    messages: Mapping[str, Mapping[str, JsonValue]] = Field(default_factory=dict)
