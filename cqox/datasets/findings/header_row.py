"""A header below notes about the table, the first of which was read as the header."""

from cqox.contract import DataFinding, Remedy
from cqox.contract.messages import Message

__all__ = ["header_row"]


def header_row(row: int) -> DataFinding:
    """Return the finding that the header is in another row of the file, numbered from 1."""
    return DataFinding(
        code="header-row",
        severity="caps",
        message=Message("findings.header-row", row=row),
        remedy=Remedy(at="upload", parameters={"header_row": str(row)}),
    )
