import polars as pl
import pytest

from cqox.datasets.missing import Tokens, tokens_for


def tokens(*distinct: str, given: list[str] | None = None) -> Tokens:
    return tokens_for(pl.Series(distinct, dtype=pl.String), given)


def test_what_programs_write_is_always_missing_in_any_case() -> None:
    found = tokens("NA", "n/a", "NaN", "NULL", "#N/A", "欠損", "x1", "5")
    assert found == Tokens(always=("NA", "n/a", "NaN", "NULL", "#N/A", "欠損"), among_numbers=())


def test_a_word_for_missing_is_so_among_numbers_only() -> None:
    found = tokens("なし", "None", "UNKNOWN", "3")
    assert found == Tokens(always=(), among_numbers=("なし", "None", "UNKNOWN"))
    assert tokens("Not Available", "3").among_numbers == ("Not Available",)


@pytest.mark.parametrize(
    ("distinct", "missing"),
    [
        (("1", "-", "3"), ("-",)),
        (("-",), ("-",)),
        (("東京", "大阪", "-"), ("-",)),
        (("○", "-"), ()),
        (("○", "-", "NA"), ("NA",)),
        (("1", "-"), ("-",)),
        (("１", "-"), ("-",)),
        (("-", "+"), ()),
        (("-", "+", "±", "++"), ()),
        (("yes", "-", "?"), ("-", "?")),
    ],
)
def test_a_mark_is_missing_unless_it_is_a_level(distinct: tuple[str, ...], missing: tuple[str, ...]) -> None:
    assert set(tokens(*distinct).always) == set(missing)


def test_the_tokens_of_a_client_replace_all_others_and_match_exactly() -> None:
    found = tokens("NA", "-", "999", "Keine", "keine", given=[" 999 ", "keine"])
    assert found == Tokens(always=("999", "keine"), among_numbers=())
    assert tokens("NA", "-", given=[]) == Tokens(always=(), among_numbers=())


def test_a_token_is_found_whatever_its_case_takes_in_bytes_and_whatever_other_texts_are() -> None:
    kelvin = "un\u212anown"
    found = tokens("nan", kelvin, "-", *(f"{number} " + "長い語" * 30 for number in range(5)))
    assert found == Tokens(always=("nan", "-"), among_numbers=(kelvin,))
    assert tokens("-", "長い語" * 30).always == ()
    assert tokens("-", "長い語" * 30, "長い文" * 30).always == ("-",)


def test_a_column_without_texts_has_no_tokens() -> None:
    assert tokens() == tokens(given=["NA"]) == Tokens(always=(), among_numbers=())
