"""The delimiter of a text file, judged by how evenly it cuts the first records, and the file's header."""

import csv
import io
from dataclasses import dataclass

from cqox.contract.messages import Message
from cqox.datasets.limits import Limits, exceeded
from cqox.errors import UnreadableFile

__all__ = ["Dialect", "find_dialect"]

# In the order of preference where two cut equally well.
_DELIMITERS = (",", "\t", ";", "|")
_SAMPLE_RECORDS = 200
_SAMPLE_CHARACTERS = 1 << 18
_NAMES = {
    ",": Message("datasets.word-comma"),
    "\t": Message("datasets.word-tab"),
    ";": Message("datasets.word-semicolon"),
    "|": Message("datasets.word-vertical-bar"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Delimiter and quoting of delimited text.

    Attributes:
        delimiter: one character.
        header: the first record that is not blank.
        bare_returns: lines end in a carriage return alone, as old Macintosh programs write them.
    """

    delimiter: str
    header: tuple[str, ...]
    bare_returns: bool

    @property
    def name(self) -> Message:
        """The delimiter in words."""
        return _NAMES[self.delimiter]


def find_dialect(head: str, *, complete: bool, asked: str | None, limits: Limits) -> Dialect:
    """The dialect of delimited text.

    A delimiter is right if records have as many fields as the first one, and more than one; of two that do so equally
    often, the one that makes more fields.

    Args:
        head: the beginning of the text.
        complete: whether that is all of it.
        asked: the client's choice of delimiter.
        limits: bounds on columns and on the length of a header.

    Raises:
        UnreadableFile: no record in the text, or a first record that has no end.
        LimitExceeded: too many columns.
    """
    if not complete and "\n" not in head and "\r" not in head:
        raise UnreadableFile(Message("datasets.no-line-end", characters=len(head)))
    candidates = (asked,) if asked is not None else _DELIMITERS
    best = max(candidates, key=lambda delimiter: _evenness(head, delimiter, complete))
    first = _records(head, best, complete, 1)
    if not first:
        raise UnreadableFile(Message("datasets.blank-lines-only"))
    if len(first[0]) > limits.max_columns:
        raise exceeded("columns", len(first[0]), limits.max_columns)
    return Dialect(delimiter=best, header=tuple(first[0]), bare_returns="\n" not in head and "\r" in head)


def _evenness(head: str, delimiter: str, complete: bool) -> tuple[float, int]:
    counts = [len(record) for record in _records(head[:_SAMPLE_CHARACTERS], delimiter, complete, _SAMPLE_RECORDS)]
    if not counts:
        return (0.0, 0)
    agreeing = sum(1 for count in counts if count == counts[0])
    if counts[0] > 1:
        return (agreeing / len(counts), counts[0])
    # A title above the header has one field under every delimiter: the rows below it decide how to report that.
    return (0.0, max(counts))


def _records(head: str, delimiter: str, complete: bool, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for record in reader:
            if record:
                found.append(record)
            if len(found) > limit:
                break
    except csv.Error:
        return found
    # The last record of a cut text may be cut itself.
    cut = not complete and len(found) <= limit and len(found) > 1
    return found[:-1] if cut else found[:limit]
