import pytest

from cqox.contract.messages import Message
from cqox.exports.wording import Wording, printable
from tests.exports.reports import ENGLISH, JAPANESE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("売上 é 😀", "売上 é 😀"),
        ("a\r\nb\tc\u2028d", "a b c d"),
        ("a\x00b\x1bc\x85", "a\ufffdb\ufffdc "),
        ("exe\u202egnp.txt", "exe\ufffdgnp.txt"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_texts_have_one_line_and_nothing_that_no_document_may_hold(text: str, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode()


def test_messages_are_in_the_language_of_the_document_and_other_texts_as_they_are():
    assert ENGLISH(Message("exports.effect")) == "Effect"
    assert JAPANESE(Message("exports.effect")) == "効果"
    assert JAPANESE("plain") == "plain"


def test_an_estimate_and_its_interval_have_the_decimals_that_the_interval_resolves():
    assert ENGLISH.interval(1234.5678, 1200.1, 1300.2) == "1,235 (95% interval 1,200 to 1,300)"
    assert ENGLISH.interval(-0.01234, -0.05, 0.03) == "−0.0123 (95% interval −0.0500 to 0.0300)"
    assert Wording(language="ja", level=90.0).interval(2.0, 1.0, 3.0) == "2.00（90%区間：1.00〜3.00）"


def test_without_an_interval_the_estimate_stands_alone_and_an_end_that_is_missing_is_infinite():
    assert ENGLISH.interval(2.0, None, None) == "2.00"
    assert ENGLISH.bounds(2.0, 1.5, None) == ("2.00", "1.50", "∞")
    assert ENGLISH.bounds(2.0, None, 2.5) == ("2.00", "−∞", "2.50")


def test_tiny_numbers_keep_digits():
    assert ENGLISH.bounds(1.5e-9, 1.2e-9, 1.8e-9) == ("1.50e−09", "1.20e−09", "1.80e−09")
