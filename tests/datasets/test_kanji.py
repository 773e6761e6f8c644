import pytest

from cqox.datasets.kanji import _COMMON, _TAUGHT, is_common


def test_the_kanji_of_elementary_school_are_1026_each_once() -> None:
    """The number in the curriculum of 2020."""
    assert len(_TAUGHT) == len(set(_TAUGHT)) == 1026


def test_nearly_all_common_kanji_are_of_the_first_level_of_jis_x_0208() -> None:
    """Rows 16 to 47; a typing error would most likely fall outside of them."""
    outside = {character for character in _COMMON if not 0xB0 <= character.encode("euc_jp")[0] <= 0xCF}
    assert outside <= set("々瘍罹")


@pytest.mark.parametrize("character", "あンー、。「売県Ａ５（～")
def test_characters_of_japanese_texts_are_common(character: str) -> None:
    assert is_common(character)


@pytest.mark.parametrize("character", "aé ｱ鬱龍\u3000\u30ff\uff00\uff5f€")
def test_other_letters_and_rare_kanji_are_not(character: str) -> None:
    assert not is_common(character)


def test_the_ranges_include_their_ends() -> None:
    assert all(map(is_common, "\u3001\u30fe\uff01\uff5e"))
