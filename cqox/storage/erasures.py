"""Contract of erasures: what is to be deleted for good, how far that has come, and the receipt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["ErasureRecord", "ErasureStore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRecord:
    """An erasure.

    Attributes:
        erasure_id: random identifier, 32 hexadecimal digits.
        what: whether one data set is erased or a whole tenant.
        object_id: id of the data set, or of the tenant.
        requested_by: the subject that asked for it.
        requested_at: ISO 8601 in UTC.
        finished_at: ISO 8601 in UTC; None until everything is deleted.
        receipt: what was deleted so far, JSON bytes; without values of data.
    """

    erasure_id: str
    what: Literal["dataset", "tenant"]
    object_id: str
    requested_by: str
    requested_at: str
    finished_at: str | None
    receipt: bytes


class ErasureStore(Protocol):
    """The part of a `ResultStore` that holds the erasures which its tenant has requested. They are never deleted."""

    async def put_erasure(self, record: ErasureRecord) -> bool:
        """Insert the erasure, or update how far it has come; return False if it is finished already."""
        ...

    async def erasure(self, erasure_id: str) -> ErasureRecord | None:
        """Return the erasure with this id, or None."""
        ...

    async def open_erasures(self, *, since: str) -> Sequence[ErasureRecord]:
        """Return the erasures that are not finished, and those that were finished since a time; oldest first."""
        ...

    async def erase_everything(self) -> int:
        """Delete every report, annotation, share link, data set, job and lease of the tenant; return the rows deleted.

        The audit log and the erasures stay.
        """
        ...
