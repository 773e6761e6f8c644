"""Models of what the operator names: sources of data, and the columns of tables that are analysed in place."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from cqox.contract.answer_model import AnswerModel

__all__ = ["PlaceColumn", "PlaceColumns", "SampledRows", "SourceListing", "SourceSummary"]


class SampledRows(AnswerModel):
    """The rows in memory of a table that is larger."""

    rows: int = Field(description="Rows of the sample.")
    of: int = Field(description="Rows of the table.")


class SourceSummary(AnswerModel):
    """A data source that the operator has named."""

    name: str
    kind: Literal["file", "url", "objects", "postgresql", "sqlite", "duckdb", "parquet", "csv", "iceberg"]
    meaning: str = ""
    tables: Sequence[str] = Field(
        (), description="Tables that an analysis names with this source; empty for a source that is read as a data set."
    )


class SourceListing(AnswerModel):
    """The answer of `GET /api/sources`."""

    sources: Sequence[SourceSummary]


class PlaceColumn(AnswerModel):
    """One column of a table in place."""

    name: str
    kind: Literal["whole", "real", "word", "day", "moment"] | None = Field(
        description="How its values are read: as whole or real numbers, words, days or moments; null where they cannot "
        "be analysed."
    )
    type: str | None = Field(None, description="Its type in the source, where it cannot be analysed.")


class PlaceColumns(AnswerModel):
    """The answer of `GET /api/sources/{name}/columns`: in the order of the table, what cannot be analysed last."""

    source: str
    table: str
    columns: Sequence[PlaceColumn]
