import pytest

from cqox.contract.messages import Message
from cqox.contract.words import near_words, unknown_word

WHAT = Message("analysis.of-estimator", estimator="role", text="x")


def test_words_that_differ_in_case_width_or_blanks_alone_are_the_nearest() -> None:
    assert near_words("Ｗ", ["x", "w", "y"]) == ["w"]
    assert near_words(" 金額(円)", ["年齢", "金額（円）"]) == ["金額（円）"]
    assert near_words("売上\u3000(円)", ["年齢", "売上 (円)"]) == ["売上 (円)"]
    assert near_words("unit id", ["id", "unit_id"]) == ["unit_id"]
    assert near_words("reigon", ["w", "region"]) == ["region"]
    assert near_words("q", ["w", "region"]) == []


def test_of_many_near_words_the_nearest_three_are_given() -> None:
    assert near_words("cov", ["cov1", "cov", "COV", " c-o_v "]) == ["cov", "COV", " c-o_v "]
    assert len(near_words("column", [f"column{number}" for number in range(10)])) == 3
    assert near_words("anything", []) == []


def test_a_word_without_end_is_compared_by_its_beginning() -> None:
    assert near_words("y" * 1_000_000, ["y", "yy"]) == []


@pytest.mark.parametrize(
    ("word", "code", "choices"),
    [
        ("regoin", "request.unknown-word-with-near", ("region", "y", "w")),
        ("q", "request.unknown-word", ("y", "region", "w")),
    ],
)
def test_an_unknown_word_has_all_valid_ones_as_choices_the_nearest_first(
    word: str, code: str, choices: tuple[str, ...]
) -> None:
    error = unknown_word(WHAT, word, ["y", "region", "w"], field="options.x")
    assert (error.detail.code, error.choices, error.field) == (code, choices, "options.x")
    assert word in error.detail


def test_near_words_and_a_cure_of_the_caller_take_precedence() -> None:
    given = unknown_word(WHAT, "regoin", ["y", "region"], field="f", near=["y"])
    assert given.choices == ("y", "region")
    assert unknown_word(WHAT, "regoin", ["region"], field="f", near=[]).detail.code == "request.unknown-word"
    cured = unknown_word(WHAT, "regoin", ["region"], field="f", cure=Message("analysis.no-job", job="j"))
    assert cured.detail.code == "request.unknown-word-with-cure"
    assert str(Message("analysis.no-job", job="j")) in cured.detail


def test_a_long_word_is_shown_in_part() -> None:
    assert len(unknown_word(WHAT, "q" * 100_000, ["y"], field="f").detail) < 1_000
