"""Notes on a few texts among numbers and dates are the same from slices as of all different texts."""

from collections.abc import Iterator
from unittest import mock

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cqox.datasets import dates, numbers, sliced_notes
from cqox.datasets.dates import read_dates
from cqox.datasets.numbers import read_numbers
from cqox.datasets.sliced_notes import notes_on_strays

_TEXTS = st.one_of(
    st.integers(0, 30).map(str), st.integers(1, 28).map("2024-01-{:02d}".format), st.integers(0, 9).map("{},5".format),
    st.integers(0, 5).map("語 {}".format), st.just("５円"), st.just("なし"), st.just("2024-02-31"),
)  # fmt: skip


def _slices(cells: pl.Series, rows: int) -> Iterator[pl.Series]:
    return (cells.slice(start, rows) for start in range(0, cells.len(), rows))


@settings(max_examples=400, deadline=None)
@given(
    cells=st.lists(_TEXTS, max_size=60),
    most=st.sampled_from([st.integers(0, 30).map(str), st.integers(1, 28).map("2024-01-{:02d}".format)]).flatmap(
        lambda style: st.lists(style, max_size=60)
    ),
    sample=st.sampled_from([2, 5, 400]),
    rows=st.sampled_from([1, 5, 200]),
    decimal=st.sampled_from([".", ","]),
    data=st.data(),
)
def test_notes_are_those_of_all_different_texts(
    cells: list[str], most: list[str], sample: int, rows: int, decimal: str, data: st.DataObject
) -> None:
    # A word makes text of the column, which is what the notes are on.
    texts = pl.Series(data.draw(st.permutations([*cells[:8], *most, "words"])))
    different = texts.filter(texts != "なし").unique(maintain_order=True)
    with mock.patch.object(numbers, "_SAMPLE", sample), mock.patch.object(dates, "_SAMPLE", sample):
        found = notes_on_strays(
            lambda: _slices(texts, rows), decimal=decimal, tokens=["なし"], distinct=different.len()
        )
        expected = [read_numbers(different, decimal=decimal).note, read_dates(different)[1]]
    assert found == [note for note in expected if note is not None]


@pytest.mark.parametrize("strays", [1, 50])
def test_a_look_ends_when_strays_are_too_many(strays: int) -> None:
    texts = pl.Series([*(str(row) for row in range(100)), *(f"語 {row}" for row in range(strays)), *["1"] * 900])
    with mock.patch.object(sliced_notes, "are_in_notation", wraps=sliced_notes.are_in_notation) as looked:
        notes = notes_on_strays(lambda: _slices(texts, 50), decimal=".", tokens=[], distinct=100 + strays)
    assert len(notes) == (strays == 1)
    assert looked.call_count == (3 if strays == 50 else texts.len() // 50 + 1)
