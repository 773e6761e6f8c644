import pytest

from cqox.exports.slide_text import BETWEEN, cut, fitting_size, height_of, lines_of


def test_lines_end_at_words_and_a_word_that_is_too_long_is_divided():
    assert lines_of("aaa bbb ccc", 12, 1.4) == ["aaa bbb ccc"]
    assert lines_of("aaa bbb ccc", 12, 0.5) == ["aaa", "bbb", "ccc"]
    assert lines_of("a" * 25, 12, 0.85) == ["a" * 10, "a" * 10, "a" * 5]
    assert lines_of("", 12, 1) == [""]


def test_a_full_width_letter_is_as_wide_as_two():
    assert len(lines_of("売" * 20, 12, 1.0)) == 2 * len(lines_of("a" * 20, 12, 1.0))


def test_the_height_is_that_of_all_lines():
    one = height_of([("a", 12)], 5)
    assert one == pytest.approx((12 * 1.2 + BETWEEN) / 72)
    assert height_of([("a", 12), ("b", 12)], 5) == pytest.approx(2 * one)


def test_the_largest_size_that_fits_is_taken_and_else_the_smallest():
    assert fitting_size("short", (30, 20, 10), 5, 1) == 30
    assert fitting_size("word " * 40, (30, 20, 10), 5, 1) == 10
    assert fitting_size("word " * 400, (30, 20, 10), 5, 1) == 10


def test_a_text_that_does_not_fit_is_cut_with_an_ellipsis():
    assert cut("short", 12, 5, 1) == "short"
    for text in ("word " * 200, "売上高" * 200, "with " + "v" * 400, "two  spaces " * 50):
        shown = cut(text, 12, 3, 0.8)
        assert shown.endswith("…")
        assert len(lines_of(shown, 12, 3)) <= 4
        assert text.startswith(shown.removesuffix("…"))
