"""Refusal of a list that names a column twice."""

from collections import Counter
from collections.abc import Sequence

from cqox.contract.bounds import shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

__all__ = ["check_repeated"]

_MOST_SHOWN = 5


def check_repeated(what: Message, columns: Sequence[str], *, field: str) -> None:
    """Refuse columns that are named twice.

    Args:
        what: the part of the request that names them.
        columns: the names.
        field: field of the request.

    Raises:
        InvalidRequest: one is named twice.
    """
    repeated = sorted(column for column, count in Counter(columns).items() if count > 1)
    if repeated:
        shown = [shortened(column) for column in repeated[:_MOST_SHOWN]]
        more = len(repeated) - len(shown)
        detail = (
            Message("request.repeated-columns-and-others", columns=shown, others=more, what=what)
            if more
            else Message("request.repeated-columns", columns=shown, what=what)
        )
        raise InvalidRequest(detail, field=field)
