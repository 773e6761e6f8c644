"""Parameters of an upload that say how its file is read."""

from cqox.contract import ReshapingOptions
from services.http.contract.operations import Parameter

__all__ = ["READ_PARAMETERS"]

READ_PARAMETERS = (
    Parameter(name="encoding", where="query", meaning="Text encoding; detected if absent."),
    Parameter(name="delimiter", where="query", meaning="Delimiter of cells; detected if absent."),
    Parameter(name="decimal", where="query", meaning="Decimal separator, `.` or `,`."),
    Parameter(name="na", where="query", meaning="Markers of missing values, separated by commas."),
    Parameter(name="sheet", where="query", meaning="Sheet of a workbook; the first if absent."),
    *(
        Parameter(
            name=name,
            where="query",
            kind="integer" if name in ("header_row", "header_rows") else "string",
            meaning=field.description or "",
        )
        for name, field in ReshapingOptions.model_fields.items()
    ),
)
"""Query parameters, or fields of the form."""
