"""What a request says of the call that it is part of, put in force while it is handled."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cqox.resilience.criticality import criticality
from cqox.resilience.http import attempt_from_headers, criticality_from_headers, serving_attempt

__all__ = ["serving"]


@contextmanager
def serving(headers: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Handle a request: calls inside the block know which attempt it is to its client, and how much it matters.

    Args:
        headers: the fields of the request.
    """
    fields = list(headers)
    with serving_attempt(attempt_from_headers(fields)), criticality(criticality_from_headers(fields)):
        yield
