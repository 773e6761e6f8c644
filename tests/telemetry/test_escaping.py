"""No character that a client writes ends a line, steers a terminal, turns text around or breaks an encoding."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cqox.telemetry.escaping import escaped, shortened

# Whole Unicode, surrogates included, and more of what matters.
TEXTS = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]),
        st.sampled_from("\n\r\t\x1b\x9b\x85\u2028\u2029\u202e\u2066\ud800\\"),
    ),
    max_size=200,
)
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(TEXTS)
def test_what_is_escaped_stays_in_its_line_and_can_be_encoded(text: str) -> None:
    safe = escaped(text)
    assert not safe or safe.splitlines() == [safe]
    assert not {unicodedata.category(one) for one in safe} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(safe) & set(BIDI)
    safe.encode("utf-8")


@given(TEXTS)
def test_escaping_twice_changes_nothing(text: str) -> None:
    assert escaped(escaped(text)) == escaped(text)


@given(TEXTS)
def test_a_text_of_other_characters_stays_as_it_is(text: str) -> None:
    plain = "".join(one for one in text if unicodedata.category(one)[0] not in "CZ" or one == " ")
    assert escaped(plain) == plain


@given(TEXTS)
def test_every_character_can_still_be_distinguished(text: str) -> None:
    assert len(escaped(text)) >= len(text)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31m\x9b\x7f\x00", r"\x1b[31m\x9b\x7f\x00"),
        ("\u2028\u202e\ud800\U000e0041", r"\u2028\u202e\ud800\U000e0041"),
        ("売上　2024 👩‍👩‍👧", "売上　2024 👩‍👩‍👧"),
        (r"C:\new", r"C:\new"),
    ],
)
def test_escapes_are_those_of_python(text: str, safe: str) -> None:
    assert escaped(text) == safe


@given(st.text(max_size=300), st.integers(10, 100), st.integers(0, 5))
def test_a_shortened_text_has_head_and_tail_and_says_how_much_is_missing(text: str, most: int, left_out: int) -> None:
    short = shortened(text, most, left_out=left_out)
    if len(text) <= most and not left_out:
        assert short == text
        return
    missing = max(0, len(text) - most) + left_out
    assert f"[... {missing} characters left out ...]" in short
    assert short.startswith(text[: most // 2])
    if len(text) > most:
        assert short.endswith(text[-(most // 3) :])
        assert len(short) < most + 50
