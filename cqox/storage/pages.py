"""Pages of listings."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page[Item]:
    """One page of a listing, newest first.

    Attributes:
        items: the rows of this page.
        next: cursor to pass as `before` for the following page; None on the last.
    """

    items: Sequence[Item]
    next: str | None
