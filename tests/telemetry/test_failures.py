"""The copy of an exception is bounded whatever the exception is, and its text is Python's where nothing is left out."""

import gc
import time
import traceback
import weakref

import pytest

from cqox.telemetry.failures import failure_of, text_of, traceback_of


def raised(call) -> BaseException:
    with pytest.raises(BaseException) as caught:
        call()
    return caught.value


def chained() -> None:
    try:
        int("x")
    except ValueError as error:
        try:
            raise KeyError("inner") from error
        except KeyError:
            error.add_note("a note")
            raise RuntimeError("outer\nsecond line")  # noqa: B904 - the context is what is shown


def test_the_text_is_that_of_python() -> None:
    error = raised(chained)
    assert traceback_of(error) + "\n" == "".join(traceback.format_exception(error))


class Own(Exception):
    pass


@pytest.mark.parametrize(
    "error", [Own("a"), Own(), KeyError("k"), OSError(2, "no"), UnicodeDecodeError("u", b"x", 0, 1, "y")]
)
def test_an_exception_that_was_never_raised_is_its_class_and_message(error: Exception) -> None:
    assert traceback_of(error) + "\n" == "".join(traceback.format_exception(error))


def test_every_form_of_exc_info_is_understood() -> None:
    error = raised(chained)
    forms = [error, (type(error), error, error.__traceback__)]
    assert [failure_of(form).kind for form in forms] == ["RuntimeError"] * 2
    assert [failure_of(form) for form in (None, False, (None, None, None), True, "x")] == [None] * 5
    try:
        raise Own
    except Own:
        assert failure_of(True).kind.endswith("Own")


def test_the_parts_of_a_group_are_shown_below_it() -> None:
    group = ExceptionGroup("two", [ValueError("first"), ExceptionGroup("inner", [TypeError("second")])])
    text = traceback_of(raised(lambda: (_ for _ in ()).throw(group)))
    assert "ExceptionGroup: two (2 sub-exceptions)" in text
    assert "  | ValueError: first" in text
    assert "  |   | TypeError: second" in text


def deep(left: int) -> None:
    if left:
        deeper(left - 1)
    raise Own("at the bottom")


def deeper(left: int) -> None:
    deep(left)


def long_chain() -> BaseException:
    error: BaseException = Own("0")
    for number in range(1, 5_000):
        later = Own(str(number))
        later.__cause__ = error
        error = later
    return error


@pytest.mark.parametrize(
    "error",
    [
        raised(lambda: deep(400)),
        long_chain(),
        ExceptionGroup("many", [Own("x" * 10_000) for _ in range(10_000)]),
        Own("x" * 50_000_000),
    ],
    ids=["deep", "chain", "group", "message"],
)
def test_whatever_it_is_its_text_is_bounded(error: BaseException) -> None:
    began = time.thread_time()
    text = traceback_of(error)
    assert time.thread_time() - began < 2
    assert len(text) < 1_000_000
    assert "left out" in text or "more" in text


def test_exceptions_that_lead_in_a_circle_end() -> None:
    one, two = Own("one"), Own("two")
    one.__cause__, two.__cause__ = two, one
    assert traceback_of(one).count("Own: one") == 1


class Wicked(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_an_exception_that_cannot_say_anything_is_named() -> None:
    assert "Wicked that cannot be shown: RuntimeError" in traceback_of(Wicked())


class Thing:
    pass


def test_the_copy_keeps_no_local_alive() -> None:
    def fails() -> None:
        thing = Thing()
        seen.append(weakref.ref(thing))
        raise Own

    seen: list[weakref.ref[Thing]] = []
    error = raised(fails)
    copy = failure_of(error)
    del error
    gc.collect()
    assert seen[0]() is None
    assert "in fails" in text_of(copy)
