"""Texts that another normal form may change are found by their bytes."""

import sys
import unicodedata
from unittest import mock

import polars as pl
import pytest

from cqox.datasets import normal_form
from cqox.datasets.normal_form import may_change


def test_every_character_that_a_normal_form_changes_is_found() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    seconds = {unicodedata.decomposition(each).split()[-1] for each in every if _is_composed_of_two(each)}
    changing = [
        each for each in every
        if unicodedata.combining(each)
        or not unicodedata.is_normalized("NFC", each)
        or f"{ord(each):04X}" in seconds
        or "\u1161" <= each <= "\u11ff"
    ]  # fmt: skip
    assert len(changing) > 2_000
    assert [each for each in changing if not may_change(pl.Series([f"x{each}"]))] == []


def _is_composed_of_two(character: str) -> bool:
    parts = unicodedata.decomposition(character).split()
    return len(parts) == 2 and not parts[0].startswith("<")


def test_common_texts_are_known_not_to_change() -> None:
    texts = [
        "plain",
        "Größe, Ярость € ﾃﾞｰﾀ",
        "各務原市の ー・。々 각 １２",
        "ǅ…",
        "★→①😀（）“x”※",
        "葛\U000e0100",
        "",
        None,
    ]
    assert not may_change(pl.Series([*texts, "", None]))
    assert not may_change(pl.Series([], dtype=pl.String))
    assert not may_change(pl.Series([None], dtype=pl.String))


@pytest.mark.parametrize("place", range(12))
def test_a_character_is_found_across_blocks(place: int) -> None:
    texts = pl.Series(["あ" * place, "e\u0301" + "あ" * 9, None])
    with mock.patch.object(normal_form, "_BLOCK", 4):
        assert may_change(texts)
        assert not may_change(texts.head(1))
