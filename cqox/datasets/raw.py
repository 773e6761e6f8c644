"""The output of every reader: named columns in the types of the format, before they are interpreted."""

from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from cqox.contract.messages import Message
from cqox.datasets.headers import Header
from cqox.datasets.spooled_cells import SpooledCells

__all__ = ["Raw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A table as its format gives it.

    Attributes:
        headers: one for each column of `frame`, in its order.
        frame: the cells; the columns carry the headers' names. Only the first rows where `spooled` has them all.
        format: in words, such as "delimited text (comma)".
        notes: what was decided on the way.
        first_row: number of the first row below the header where a person would look for it, for messages.
        proposed_header_row: number of a row below the header that is more likely the header; None if there is none.
        spooled: the cells of a large text, under the headers' names; None where they are in `frame`.
    """

    headers: tuple[Header, ...]
    frame: pl.DataFrame
    format: str
    notes: tuple[Message, ...] = ()
    first_row: int = 2
    proposed_header_row: int | None = None
    spooled: SpooledCells | None = None

    @property
    def height(self) -> int:
        """Rows below the header."""
        return self.frame.height if self.spooled is None else self.spooled.height

    def in_memory(self) -> Self:
        """Return the table with all of its cells in `frame`."""
        return self if self.spooled is None else replace(self, frame=self.spooled.in_memory(), spooled=None)
