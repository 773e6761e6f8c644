"""Texts are stripped, composed, and null where nothing is left."""

import unicodedata

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cqox.datasets.tidy import notes_on_tidying, tidy


def test_what_is_tidy_is_kept_without_a_copy() -> None:
    cells = pl.Series(["東京", None, "a b"])
    tidied = tidy(cells)
    assert tidied.texts is cells
    assert (tidied.spaced, tidied.emptied, tidied.is_composed) == (0, 0, False)


@given(st.lists(st.one_of(st.none(), st.text(alphabet=" \u3000\ta東か\u3099e\u0301", max_size=4)), max_size=12))
def test_texts_are_what_python_makes_of_them(cells: list[str | None]) -> None:
    expected = [unicodedata.normalize("NFC", (cell or "").strip()) or None for cell in cells]
    tidied = tidy(pl.Series(cells, dtype=pl.String))
    assert tidied.texts.to_list() == expected
    assert tidied.spaced == sum(cell is not None and cell != cell.strip() for cell in cells)
    assert tidied.emptied == sum(cell is not None and not cell.strip() for cell in cells)
    assert tidied.is_composed == any(
        cell and unicodedata.normalize("NFC", cell.strip()) != cell.strip() for cell in cells
    )


def test_spaces_alone_are_no_note() -> None:
    assert notes_on_tidying(spaced=2, emptied=2, is_composed=False) == []
    assert [note.code for note in notes_on_tidying(spaced=3, emptied=2, is_composed=True)] == [
        "datasets.note-space-removed", "datasets.note-unicode-form",
    ]  # fmt: skip
