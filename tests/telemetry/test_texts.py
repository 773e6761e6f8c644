import pytest

from cqox.telemetry.texts import NO_TEXT, Clipped, clipped, quoted, safe_str, shown


class Broken:
    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


@pytest.mark.parametrize(("nested", "most"), [(False, 12_288), (True, 4_096)])
def test_a_long_text_loses_its_middle_and_the_count_of_characters_adds_up(nested: bool, most: int) -> None:
    whole = "".join(chr(97 + number % 26) for number in range(most))
    assert clipped(whole, nested=nested) == Clipped(whole, 0)
    for more in (1, 2, 1000):
        text = whole + "z" * more
        clip = clipped(text, nested=nested)
        assert len(clip.text) + clip.left_out == len(text)
        assert len(clip.text) == most
        assert text.startswith(clip.text[: most // 2])
        assert text.endswith(clip.text[most // 2 :])
    assert clipped("") == NO_TEXT


def test_a_text_is_shown_in_one_line_masked_and_with_what_is_left_out() -> None:
    assert shown(Clipped("a\nb", 0), 100) == r"a\nb"
    assert "hunter2" not in shown(Clipped("postgresql://me:hunter2@db/x", 0), 100)
    assert "7" in shown(Clipped("abc", 7), 100)
    long = shown(Clipped("x" * 50, 7), 20)
    assert "37" in long
    assert long.count("x") == 20


def test_a_secret_that_the_bound_would_cut_is_masked_first() -> None:
    text = "x" * 30 + " postgresql://me:hunter2@db/x"
    for most in range(20, 70):
        assert "hunter" not in shown(Clipped(text, 0), most)


@pytest.mark.parametrize(("given", "text"), [("é", "é"), (3, "3"), (None, "None"), (b"caf\xc3\xa9\xff", "café\\xff")])
def test_any_object_has_a_text(given: object, text: str) -> None:
    assert safe_str(given) == text


def test_an_object_that_cannot_be_shown_is_named() -> None:
    for text in (safe_str(Broken()), quoted(Broken())):
        assert "Broken" in text
        assert "ZeroDivisionError" in text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("a'b", '"a\'b"'), (b"x", "b'x'"), (bytearray(b"x"), "b'x'"), (memoryview(b"x"), "b'x'"), ([1], "[1]"),
        (ValueError("a", 2), "ValueError('a', 2)"), (KeyError(), "KeyError()"),
        (ValueError(ValueError(KeyError("k"))), "ValueError(ValueError(KeyError('k')))"),
        (ValueError(*range(9)), "ValueError(0, 1, 2, 3, 4, 5, 6, 7, ...)"),
        (ValueError(*range(8)), "ValueError(0, 1, 2, 3, 4, 5, 6, 7)"),
    ],
)  # fmt: skip
def test_what_is_quoted_looks_as_it_is_written_in_code(given: object, text: str) -> None:
    assert quoted(given) == text


@pytest.mark.parametrize("given", ["x" * 1_000_000, b"x" * 1_000_000, ValueError("x" * 1_000_000)])
def test_what_is_quoted_is_bounded(given: object) -> None:
    assert len(quoted(given)) < 13_000


def test_an_exception_that_holds_itself_is_quoted() -> None:
    error = ValueError()
    error.args = (error,)
    assert quoted(error).startswith("ValueError(ValueError(")
