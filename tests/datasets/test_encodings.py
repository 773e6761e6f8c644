"""Encodings are found by strict decoding, and ambiguous bytes by a rule that is reported."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cqox.datasets.encodings import as_utf8, find_encoding
from cqox.datasets.temp_files import BLOCK_BYTES, Scratch, Source
from cqox.errors import UnreadableFile

type MakeSource = Callable[[bytes], Source]

WORDS = [
    "売上",
    "年齢",
    "性別",
    "男",
    "女",
    "東京都",
    "大阪府",
    "北海道",
    "店舗",
    "あり",
    "なし",
    "処置",
    "介入",
    "結果",
    "対照群",
    "処置群",
    "クーポン",
    "会員",
    "非会員",
    "はい",
    "いいえ",
    "商品",
    "単価",
    "高い",
    "低い",
    "平日",
    "休日",
    "地域",
    "関東",
    "九州",
    "店名",
    "業態",
    "面積",
    "スーパー",
    "コンビニ",
    "中央",
    "港区",
    "渋谷",
    "横浜",
]
HALF_WIDTH = ["ﾔﾏﾀﾞ", "ｽｽﾞｷ", "ｻﾄｳ", "ﾀﾅｶ", "ﾜﾀﾅﾍﾞ", "ｲﾄｳ", "ﾀｶﾊｼ", "ｺﾊﾞﾔｼ", "ｶﾄｳ", "ﾖｼﾀﾞ", "ｼﾐｽﾞ", "ﾏﾂﾓﾄ", "ﾄｳｷﾖｳ", "ｵｵｻｶ"]


@pytest.fixture
def source(tmp_path: Path) -> MakeSource:
    """Bytes as a source on disk."""

    def source(content: bytes) -> Source:
        path = tmp_path / "source"
        path.write_bytes(content)
        return Source(path=str(path), size=len(content))

    return source


def _table(rng: np.random.Generator, words: list[str]) -> str:
    lines = [f"{rng.choice(words)},{rng.integers(100)}" for _ in range(rng.integers(2, 40))]
    return "\n".join([f"{rng.choice(words)},n", *lines]) + "\n"


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-8"])
def test_japanese_words_are_never_mistaken_for_the_other_encoding(source: MakeSource, encoding: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(150):
        text = _table(rng, WORDS)
        assert find_encoding(source(text.encode(encoding))).name == encoding, text


def test_half_width_katakana_stay_cp932_although_they_may_be_valid_euc_jp(source: MakeSource) -> None:
    rng = np.random.default_rng(7)
    found = [find_encoding(source(_table(rng, HALF_WIDTH).encode("cp932"))) for _ in range(150)]
    assert sum(encoding.name == "cp932" for encoding in found) >= 148
    ambiguous = find_encoding(source("name,n\nﾔﾏﾀﾞ,3\nｽｽﾞｷ,4\n".encode("cp932")))
    assert ambiguous.name == "cp932"
    assert any("EUC-JP" in note for note in ambiguous.notes)


def test_the_five_bytes_that_python_alone_decodes_as_cp932_are_no_cp932(source: MakeSource) -> None:
    for stray in (b"\x80", b"\xa0", b"\xfd", b"\xfe", b"\xff"):
        content = "処置,y\n".encode("cp932") + stray + b",1\n"
        with pytest.raises(UnreadableFile, match=f"cp932 .*byte {len('処置,y'.encode('cp932')) + 1}"):
            find_encoding(source(content))


@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "euc_jp", "utf-16-le"])
def test_the_offset_of_a_bad_byte_is_exact_beyond_the_first_block(source: MakeSource, encoding: str) -> None:
    filler = "処" + "あ" * (BLOCK_BYTES // 2 + 11)
    good = filler.encode(encoding) + (b"\n" if encoding != "utf-16-le" else b"\n\0")
    bad = {"utf-16-le": b"\x00\xdc\x00\xdc", "utf-8": b"\xff"}.get(encoding, b"\xff")
    with pytest.raises(UnreadableFile, match=f"byte offset {len(good):,} "):
        find_encoding(source(good + bad + (b"\n" if encoding != "utf-16-le" else b"\n\0")), encoding)


def test_a_character_cut_by_a_block_end_is_whole_again(source: MakeSource) -> None:
    for encoding in ("utf-8", "cp932", "euc_jp"):
        for shift in range(3):
            text = "y" * (BLOCK_BYTES - 2 + shift) + "処置あり\n"
            with Scratch() as scratch:
                original = source(text.encode(encoding))
                read = as_utf8(original, find_encoding(original), scratch)
                assert b"".join(read.blocks()).decode() == text


def test_every_encoding_that_was_tried_is_named_with_its_offset(source: MakeSource) -> None:
    with pytest.raises(UnreadableFile) as caught:
        find_encoding(source("name\nRené,\n".encode("cp1252")))
    for part in ("utf-8", "cp932", "euc_jp", "byte 8", "0xE9"):
        assert part in caught.value.detail


def test_western_letters_read_as_kanji_are_pointed_out(source: MakeSource) -> None:
    found = find_encoding(source("name\ncafés\nfrère\n".encode("cp1252")))
    assert found.name == "cp932"
    assert any("cp1252" in note for note in found.notes)


def test_a_byte_order_mark_that_lies_is_refused(source: MakeSource) -> None:
    with pytest.raises(UnreadableFile, match="byte order mark"):
        find_encoding(source(b"\xef\xbb\xbfa\n\xff\n"))


def test_utf_16_is_found_without_a_mark_even_in_pure_japanese(source: MakeSource) -> None:
    text = "処置、結果\n" + "あり、なし\n" * 5
    for name in ("utf-16-le", "utf-16-be"):
        found = find_encoding(source(text.encode(name)))
        assert found.name == name
        assert any("mark" in note for note in found.notes)


def test_a_dos_end_of_file_mark_is_dropped(source: MakeSource) -> None:
    with Scratch() as scratch:
        for encoding in ("utf-8", "cp932"):
            original = source("処置\nあり\n".encode(encoding) + b"\x1a")
            assert b"".join(as_utf8(original, find_encoding(original), scratch).blocks()).decode() == "処置\nあり\n"


def test_plain_utf_8_is_read_in_place(source: MakeSource) -> None:
    with Scratch() as scratch:
        original = source("処置\nあり\n".encode())
        assert as_utf8(original, find_encoding(original), scratch) == original


def test_control_characters_make_a_file_binary_but_one_in_a_long_text_does_not(source: MakeSource) -> None:
    with pytest.raises(UnreadableFile, match="binary"):
        find_encoding(source(bytes(range(1, 32)) * 20))
    assert find_encoding(source(b"a,b\n" + b"1,x\n" * 200 + b"1,\x02\n")).name == "utf-8"
