"""Fallback results, returned only for failed calls."""

import asyncio
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from cqox.errors import CircuitOpen
from cqox.resilience.circuit import CircuitBreaker
from cqox.resilience.composition.policy import Policy
from cqox.resilience.retry.fallback import Fallback
from tests.resilience.conftest import Run


def fail(error: BaseException) -> str:
    raise error


async def fail_later(error: BaseException) -> str:
    await anyio.lowlevel.checkpoint()
    raise error


def test_what_succeeds_is_left_alone(run: Run) -> None:
    fallback = Fallback(lambda error: "other")

    async def fetch() -> str:
        await anyio.lowlevel.checkpoint()
        return "answer"

    assert run(fallback(fetch)) == "answer"
    assert fallback(lambda: "answer")() == "answer"


def test_the_answer_is_made_from_the_exception(run: Run) -> None:
    fallback = Fallback(lambda error: f"instead of {error}")
    assert fallback(fail)(ValueError("x")) == "instead of x"
    assert run(lambda: fallback(fail_later)(ValueError("x"))) == "instead of x"


def test_an_awaited_answer_is_awaited(run: Run) -> None:
    async def answer(error: Exception) -> str:
        await anyio.lowlevel.checkpoint()
        return "later"

    assert run(lambda: Fallback(answer)(fail_later)(ValueError())) == "later"


def test_an_awaited_answer_cannot_stand_in_for_a_plain_call_and_that_is_said_at_decoration() -> None:
    async def answer(error: Exception) -> str:
        return "later"

    with pytest.raises(TypeError, match="a coroutine function cannot answer for a plain one"):
        Fallback(answer)(fail)


def test_a_lambda_may_answer_with_the_coroutine_of_another_function(run: Run) -> None:
    async def other(error: Exception) -> str:
        await anyio.lowlevel.checkpoint()
        return f"instead of {error}"

    fallback = Fallback(lambda error: other(error))

    async def main() -> str:
        return await fallback(fail_later)(ValueError("x"))

    assert run(main) == "instead of x"
    with pytest.raises(TypeError, match="a coroutine cannot answer for a plain function"):
        fallback(fail)(ValueError("x"))


def test_other_exceptions_go_through_as_they_are() -> None:
    mine = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        Fallback(lambda error: "other", (ValueError,))(fail)(mine)
    assert caught.value is mine


def test_a_predicate_may_decide_what_is_covered() -> None:
    fallback = Fallback(lambda error: "other", lambda error: "busy" in str(error))
    assert fallback(fail)(ValueError("busy")) == "other"
    with pytest.raises(ValueError, match="wrong"):
        fallback(fail)(ValueError("wrong"))


def test_a_group_is_answered_for_only_if_every_leaf_is() -> None:
    fallback = Fallback(lambda error: "other", (ValueError,))
    assert fallback(fail)(ExceptionGroup("", [ValueError(), ExceptionGroup("", [ValueError()])])) == "other"
    mixed = ExceptionGroup("", [ValueError(), KeyError()])
    with pytest.raises(ExceptionGroup) as caught:
        fallback(fail)(mixed)
    assert caught.value is mixed


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_what_is_no_failure_goes_through(error: BaseException) -> None:
    with pytest.raises(type(error)):
        Fallback(lambda _: "other", lambda _: True)(fail)(error)


def test_a_cancellation_is_not_answered_for(run: Run) -> None:
    async def main() -> bool:
        with anyio.move_on_after(1.0) as scope:
            await Fallback(lambda error: "other")(anyio.sleep_forever)()
        return scope.cancelled_caught

    assert run(main)


def test_an_answer_that_fails_fails_the_call_and_shows_why_it_was_asked() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        Fallback(lambda error: 1 / 0)(fail)(ValueError("first"))
    assert str(caught.value.__context__) == "first"


def test_outside_of_a_breaker_it_answers_for_rejections_too() -> None:
    breaker = CircuitBreaker("fallback test", failure_threshold=1)
    call = Policy("fallback test", Fallback(lambda error: type(error).__name__), breaker)(fail)
    assert call(ValueError()) == "ValueError"
    assert call(ValueError()) == CircuitOpen.__name__
    assert breaker.snapshot().rejected == 1


@pytest.mark.parametrize("exceptions", [(), (1,), "ValueError", int])
def test_nonsense_exceptions_are_refused(exceptions: Any) -> None:
    with pytest.raises(ValueError, match="exceptions must be"):
        Fallback(lambda error: None, exceptions)


def test_an_answer_that_is_no_function_is_refused_with_a_hint() -> None:
    with pytest.raises(TypeError, match="lambda error"):
        Fallback([])  # type: ignore[arg-type]


def test_what_has_no_single_value_cannot_be_answered_for() -> None:
    async def stream() -> Any:
        yield 1

    with pytest.raises(TypeError, match="its result is not a value"):
        Fallback(lambda error: None)(stream)


def test_arguments_by_name_reach_the_callee(run: Run) -> None:
    async def fetch(*, of: str) -> str:
        return f"answer {of}"

    def look_up(*, of: str) -> str:
        return f"answer {of}"

    fallback = Fallback(lambda error: "other")
    assert run(lambda: fallback(fetch)(of="x")) == "answer x"
    assert fallback(look_up)(of="x") == "answer x"


def test_an_object_whose_call_is_a_coroutine_function_is_awaited(run: Run) -> None:
    class Answer:
        async def __call__(self, error: Exception) -> str:
            await anyio.lowlevel.checkpoint()
            return f"instead of {error}"

    fallback = Fallback(Answer(), name="substitute")
    assert run(lambda: fallback(fail_later)(ValueError("x"))) == "instead of x"
    with pytest.raises(TypeError, match=r"^substitute: a coroutine function cannot answer for a plain one"):
        fallback(fail)


def test_an_awaitable_of_a_plain_function_is_answered_for_where_it_fails() -> None:
    async def main() -> list[object]:
        def request(error: Exception | None) -> asyncio.Future[str]:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            if error is None:
                future.set_result("answer")
            else:
                future.set_exception(error)
            return future

        call = Fallback(lambda error: f"instead of {error}")(request)
        return [await call(None), await call(ValueError("x")), await call(None)]

    assert asyncio.run(main()) == ["answer", "instead of x", "answer"]


def test_a_first_awaitable_that_fails_is_answered_for() -> None:
    async def main() -> object:
        def request() -> asyncio.Future[str]:
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            future.set_exception(ValueError("x"))
            return future

        return await Fallback(lambda error: f"instead of {error}")(request)()

    assert asyncio.run(main()) == "instead of x"
