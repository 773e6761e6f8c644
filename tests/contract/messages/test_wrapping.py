import pytest

from cqox.contract.messages import width, wrap
from cqox.contract.messages.wrapping import wrap_evenly


@pytest.mark.parametrize(("text", "columns"), [("", 0), ("abc", 3), ("売上", 4), ("ｱ", 1), ("ＡＢ", 4)])
def test_full_width_letters_are_two_columns_wide(text, columns):
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "most", "lines"),
    [
        ("", 10, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("one  two", 4, ["one", "two"]),
        ("unbreakable it is", 4, ["unbreakable", "it", "is"]),
        ("処置群の平均", 6, ["処置群", "の平均"]),
        ("処置群の平均", 7, ["処置群", "の平均"]),
        ("処置群、対照群", 6, ["処置", "群、対", "照群"]),
        ("処置群。」と", 6, ["処置", "群。」", "と"]),
        ("効果（円）の", 6, ["効果", "（円）", "の"]),
        ("効果は1,234.5である", 8, ["効果は", "1,234.5", "である"]),
        ("効果はp = 0.01", 8, ["効果はp", "= 0.01"]),
        ("センター", 6, ["セン", "ター"]),
    ],
)
def test_lines_end_at_spaces_or_between_full_width_letters(text, most, lines):
    assert wrap(text, most) == lines


@pytest.mark.parametrize(
    ("text", "most", "lines"),
    [
        ("処置群の平均値", 12, ["処置群の", "平均値"]),
        ("処置群の平均", 6, ["処置群", "の平均"]),
        ("処置群の平均", 20, ["処置群の平均"]),
        ("one two three four", 14, ["one two", "three four"]),
        ("unbreakable it", 4, ["unbreakable", "it"]),
    ],
)
def test_a_last_line_of_a_letter_or_two_is_shared_out(text, most, lines):
    assert wrap_evenly(text, most) == lines


def test_even_lines_are_as_many_and_no_wider():
    text = "信用スコア（与信審査システムによる）のカットオフ0.5の周りの月間売上高（千円）の平均"
    for most in range(10, 90):
        lines = wrap_evenly(text, most)
        assert "".join(lines) == text
        assert len(lines) == len(wrap(text, most))
        assert max(map(width, lines)) <= max(map(width, wrap(text, most)))


def test_no_line_begins_with_closing_punctuation_or_ends_with_an_opening_bracket():
    text = "（最大の重みは群の平均の4.73倍である（処置群への均衡化（ATT）、対照群）。）「終」" * 4
    for most in range(10, 60):
        lines = wrap(text, most)
        assert "".join(lines) == text
        assert not [line for line in lines if line[0] in "、。）」" or line[-1] in "（「"]
        assert max(map(width, lines)) <= most
