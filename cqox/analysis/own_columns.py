"""Names of what an engine adds to a table: no column of the table has one of them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

__all__ = ["OwnColumns", "free_name"]


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return a name that no column has, whatever its case: the wanted one, or that with underscores after it.

    Args:
        wanted: the name.
        taken: names of the columns.
    """
    known = {name.casefold() for name in taken}
    while wanted.casefold() in known:
        wanted += "_"
    return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnColumns:
    """The names by which expressions reach what is no column of the table.

    Attributes:
        row: the number of the row.
        row_key: a key of it.
        fold_key: the key from which the row's fold is made.
    """

    row: str
    row_key: str
    fold_key: str

    @classmethod
    def of(cls, names: Collection[str]) -> Self:
        """Return names that none of the columns of a table has.

        Args:
            names: of all columns of the table.
        """
        return cls(
            row=free_name("row number", names),
            row_key=free_name("row key", names),
            fold_key=free_name("fold key", names),
        )
