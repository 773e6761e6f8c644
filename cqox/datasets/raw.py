"""The output of every reader: named columns in the types of the format, before they are interpreted."""

from dataclasses import dataclass

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.headers import Header

__all__ = ["Raw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A table as its format gives it.

    Attributes:
        headers: one for each column of `frame`, in its order.
        frame: the cells; the columns carry the headers' names.
        format: in words, such as "delimited text (comma)".
        notes: what was decided on the way.
        first_row: number of the first row below the header where a person would look for it, for messages.
        proposed_header_row: number of a row below the header that is more likely the header; None if there is none.
    """

    headers: tuple[Header, ...]
    frame: pl.DataFrame
    format: str
    notes: tuple[Message, ...] = ()
    first_row: int = 2
    proposed_header_row: int | None = None
