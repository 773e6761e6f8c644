"""The most bytes that a source may give."""

import io

import pytest

from cqox.errors import LimitExceeded
from cqox.sources.budget import Budget


def test_bytes_up_to_the_most_are_copied_and_no_more() -> None:
    file = io.BytesIO()
    budget = Budget("https://me:secret@host/a", 4)
    budget.copy([b"ab", memoryview(b"cd")], file)
    assert file.getvalue() == b"abcd"
    with pytest.raises(LimitExceeded, match="https://host/a") as caught:
        budget.take(1)
    assert "secret" not in str(caught.value)
