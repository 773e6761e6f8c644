"""Texts are stripped, composed, and null where nothing is left."""

import sys
import unicodedata

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cqox.datasets import tidy as tidy_module
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


def test_every_character_that_a_normal_form_changes_is_looked_for() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    seconds = {unicodedata.decomposition(each).split()[-1] for each in every if _is_composed_of_two(each)}
    changing = [
        each for each in every
        if unicodedata.combining(each)
        or not unicodedata.is_normalized("NFC", each)
        or f"{ord(each):04X}" in seconds
        or "\u1161" <= each <= "\u11ff"
    ]  # fmt: skip
    assert len(changing) > 1_000
    assert pl.Series(changing).str.contains(tidy_module._MAY_COMPOSE).all()
    plain = pl.Series(["Größe, Ярость € ﾃﾞｰﾀ", "各務原市の ー・。々 각 １２", "ǅ…"])
    assert not plain.str.contains(tidy_module._MAY_COMPOSE).any()


def _is_composed_of_two(character: str) -> bool:
    parts = unicodedata.decomposition(character).split()
    return len(parts) == 2 and not parts[0].startswith("<")
