"""A test of texts for another Unicode normal form C, by their bytes, which takes a tenth of making it."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cqox.datasets.slices import read_in_slices

__all__ = ["may_change"]

_BLOCK = 1 << 19
"""Bytes that are compared at a time: the results stay in the caches of a processor."""

_SECOND = np.zeros((256, 256), dtype=np.bool_)
"""For the first two bytes of a character, whether one that begins with them may change."""
_SECOND[0xE2, [0x83, 0x84, 0x8C, 0xAB, 0xB3, 0xB5, 0xB7]] = True
_SECOND[0xEA, :0xB0] = True
_SECOND[0xEF, [*range(0xA4, 0xAE), 0xB8]] = True
_SECOND[0xF0, :0x9F] = True
_SECOND[0xF0, 0xAF] = True
_SECOND[[*range(0xCC, 0xD0), 0xD2, *range(0xD4, 0xE2)], :] = True


def may_change(texts: pl.Series) -> bool:
    """Return whether a text may have another normal form; that none has it is sure.

    Latin and Cyrillic letters, Chinese, kana, Hangul syllables, their marks and emoji are known not to change.

    Args:
        texts: texts and null.
    """
    if texts.str.len_bytes().sum() == texts.str.len_chars().sum():
        return False
    return any(_has_changing(part) for part in read_in_slices(texts.slice, texts.len()))


def _has_changing(texts: pl.Series) -> bool:
    # Two bytes more, so that each one has two after it.
    data = np.frombuffer(texts.str.join("").cast(pl.Binary)[0] + b"  ", dtype=np.uint8)
    return any(_changes(data[start : start + _BLOCK + 2]) for start in range(0, len(data) - 2, _BLOCK))


def _changes(data: NDArray[np.uint8]) -> bool:
    first, second, third = data[:-2], data[1:-1], data[2:]
    # Bytes wrap around: one comparison finds those from CC to E2.
    places = np.flatnonzero((first - np.uint8(0xCC) <= np.uint8(0xE2 - 0xCC)) | (first >= np.uint8(0xEA)))
    one, two, three = first[places], second[places], third[places]
    quads = (one == 0xE2) & (two == 0x80) & (three <= 0x81)
    if _SECOND[one, two].any() or quads.any():
        return True
    # Marks of kana and of tones begin with the same two bytes as kana and punctuation.
    voiced = (third - np.uint8(0x99) <= np.uint8(0x9A - 0x99)) & (second == 0x82)
    tones = (third - np.uint8(0xAA) <= np.uint8(0xAF - 0xAA)) & (second == 0x80)
    return bool((first[np.flatnonzero(voiced | tones)] == 0xE3).any())
