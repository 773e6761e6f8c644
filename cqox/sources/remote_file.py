"""A file at a URL or in an object store, as its server describes it."""

from dataclasses import dataclass

from cqox.errors import SourceUnavailable

__all__ = ["RemoteFile", "SourceChanged"]


class SourceChanged(SourceUnavailable):
    """Files that lie elsewhere were changed while they were copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file that lies elsewhere.

    Attributes:
        key: its path there, without a slash at the beginning.
        size_bytes: its size; None where the server does not say.
        e_tag: its entity tag; None without one.
        modified: when it was written, in seconds of the Unix epoch; None where the server does not say.
    """

    key: str
    size_bytes: int | None
    e_tag: str | None
    modified: int | None

    @property
    def is_identified(self) -> bool:
        """True if another content would show."""
        return self.e_tag is not None or self.modified is not None

    def is_same(self, other: "RemoteFile") -> bool:
        """Return whether another description may be of the same content: nothing that both say differs."""
        pairs = ((self.size_bytes, other.size_bytes), (self.e_tag, other.e_tag), (self.modified, other.modified))
        return all(mine is None or theirs is None or mine == theirs for mine, theirs in pairs)
