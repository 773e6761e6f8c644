"""Data findings: the codes that there are, and the remedies that a request can ask for.

A remedy names rows, columns and formats by plain JSON values, so that what a finding proposes can be sent as it is.
"""

from typing import Annotated, Literal

from pydantic import FailFast, Field, field_validator, model_validator

from cqox.contract.messages import Message
from cqox.contract.strict import Names, Strict

__all__ = [
    "FINDING_CODES",
    "PERIOD_FORMATS",
    "DropRows",
    "PeriodFormat",
    "RemedyOptions",
    "ReshapingOptions",
    "Unpivot",
]

FINDING_CODES = (
    "ambiguous-periods",
    "arms-differ",
    "duplicate-rows",
    "header-row",
    "header-rows",
    "jumps-at-cutoff",
    "merged-cells",
    "mixed-dates",
    "mostly-empty-covariate",
    "ordered-periods",
    "outcome-as-covariate",
    "sum-rows",
    "totals-rows",
    "unmapped-cluster",
    "wide-panel",
    "yes-or-blank",
)
"""Codes of findings, each a message of the area `findings`."""

type PeriodFormat = Literal[
    "number", "year", "quarter", "month", "month-name", "week", "month-day", "day-month", "date", "date-day-first",
    "date-month-first",
]  # fmt: skip
"""Format of texts that are periods.

`number`: the one number in the text, as in W1, Week 1, 第1週, FY2024. `year`: a year of an era, as 令和7年. `quarter`:
Q1 2025, 2025Q1, 2025年第1四半期. `month`: Apr 2025, Apr-25, 令和7年4月, 2025M04. `month-name`: Apr. `week`: 2025-W03.
`month-day` and `day-month`: 4/7 without a year. `date`: days in several styles, `date-day-first` and `date-month-first`
where one of them is 4/7/2025.
"""

PERIOD_FORMATS: tuple[PeriodFormat, ...] = (
    "number", "year", "quarter", "month", "month-name", "week", "month-day", "day-month", "date", "date-day-first",
    "date-month-first",
)  # fmt: skip
"""The formats, in the order in which choices list them."""


class DropRows(Strict):
    """Rows to leave out: those with some values of a column, some by their numbers, or repetitions of earlier rows."""

    column: str | None = Field(None, description="Column whose values choose the rows; together with `values`.")
    values: Annotated[list[str | float | None], FailFast()] | None = Field(
        None, description="Rows with one of these values are left out; null means an empty cell."
    )
    rows: Annotated[list[Annotated[int, Field(ge=1)]], FailFast()] | None = Field(
        None, description="Numbers of rows, from 1 below the header, as findings have them."
    )
    duplicates: bool = Field(False, description="Every row that is equal to an earlier one in all columns.")

    @model_validator(mode="after")
    def _one_form(self) -> "DropRows":
        by_value = self.column is not None or self.values is not None
        if by_value + (self.rows is not None) + self.duplicates != 1 or (self.column is None) != (self.values is None):
            raise ValueError(Message("request.drop-rows-form"))
        return self


class Unpivot(Strict):
    """Columns of several periods to turn into rows: `sales_2023, sales_2024` into the columns `period` and `sales`."""

    columns: Names = Field(
        min_length=2, description="The columns; each name is that of a measure and a period, as y2001 or 売上_1月."
    )
    period: str = Field("period", min_length=1, description="Name of the new column of periods.")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class ReshapingOptions(Strict):
    """Options of an upload that put the cells of a file into the form of a table."""

    header_row: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None,
        description="Row in which the header begins, from 1, as a spreadsheet program or an editor numbers rows; what "
        "is above it is left out. Found if absent.",
    )
    header_rows: Annotated[int, Field(ge=1, le=10)] | None = Field(
        None, description="Rows that the header takes; names of merged cells reach over the blanks to their right."
    )
    drop_rows: Annotated[list[DropRows], FailFast()] | None = Field(
        None, description="Rows to leave out, as the option of an analysis; JSON."
    )
    fill_down: Names | None = Field(
        None,
        description="Columns in which an empty cell has the value above it, as in merged cells; separated by commas, "
        "or JSON.",
    )
    unpivot: Unpivot | None = Field(
        None,
        description='Columns of several periods to turn into rows; JSON: `{"columns": ["y2001", "y2002"], "period": '
        '"year"}`.',
    )

    _listed = field_validator("drop_rows", mode="before")(_as_list)


class RemedyOptions(Strict):
    """Options of an analysis that settle data findings."""

    drop_rows: Annotated[list[DropRows], FailFast()] | None = Field(
        None,
        description='Rows to leave out of the analysis, such as totals: `{"column": "shop", "values": ["Total"]}`, '
        '`{"rows": [61]}` or `{"duplicates": true}`, or a list of these.',
    )
    period_formats: dict[str, PeriodFormat] | None = Field(
        None,
        description="Columns of text that are periods, each with its format: `number` (W1, Week 1, 第1週), `year` "
        "(令和7年), `quarter` (Q1 2025), `month` (Apr 2025, Apr-25, 令和7年4月), `month-name` (Apr), `week` "
        "(2025-W03), `month-day` or `day-month` (4/7), `date`, `date-day-first` or `date-month-first` (days in several "
        "styles). A format that can be read in one way only is found unasked in the columns of `time` and `cohort`.",
    )
    yes_no: Names | None = Field(
        None, description="Columns in which a mark such as ○ means yes (1) and an empty cell means no (0)."
    )

    _listed = field_validator("drop_rows", mode="before")(_as_list)
