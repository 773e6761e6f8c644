"""Fallback: a substitute result for a call that fails."""

import inspect
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, cast

from cqox.resilience.pipeline.awaitables import Awaiting, must_be_awaited
from cqox.resilience.pipeline.part import StageContext, Wrapper
from cqox.resilience.runtime.passing import passing
from cqox.resilience.runtime.ranges import Listed, check_arguments, check_exceptions, check_name

__all__ = ["Fallback"]


class Fallback(Wrapper):
    """A fallback: it returns `answer(error)` for a call that raises one of `exceptions`: `Fallback(lambda error: [])`.

    `answer` may be a coroutine function where the call is awaited. An exception that it raises reaches the caller
    instead. Rejections count as exceptions; a cancellation passes through. An exception group is covered only if every
    leaf is one of `exceptions`.
    """

    __slots__ = ("_answer", "_awaited", "_exceptions", "name")

    def __init__(
        self,
        answer: Callable[[Exception], object],
        exceptions: Listed[Exception] = (Exception,),
        *,
        name: str = "fallback",
    ) -> None:
        """Make a fallback.

        Args:
            answer: takes the exception and returns the substitute result.
            exceptions: an exception class or classes to cover, or a predicate.
            name: its name in explanations.

        Raises:
            ValueError: `exceptions` is empty or contains no exception classes, or `answer` does not take one argument.
            TypeError: `answer` is not a function: write `lambda error: value` for a constant.
        """
        if not callable(answer):
            raise TypeError(f"answer must be a function of the exception, such as `lambda error: ...`, not {answer!r}")
        check_arguments("answer", answer, 1)
        self.name = check_name(name)
        self._answer = answer
        self._exceptions = check_exceptions("exceptions", exceptions)
        self._awaited = inspect.iscoroutinefunction(answer) or inspect.iscoroutinefunction(
            getattr(answer, "__call__", None)  # noqa: B004 - the method is inspected, not called
        )

    def covers(self, error: Exception) -> bool:
        """Return whether the fallback covers `error`."""
        if isinstance(error, ExceptionGroup):
            return all(self.covers(leaf) for leaf in cast("ExceptionGroup[Exception]", error).exceptions)
        if callable(self._exceptions):
            return self._exceptions(error)
        return isinstance(error, self._exceptions)

    def wrap_async(self, call: Callable[..., Awaitable[Any]], facts: StageContext) -> Callable[..., Awaitable[Any]]:
        """See `Wrapper.wrap_async`."""

        async def with_fallback(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
            try:
                return await call(*args, **kwargs)
            except Exception as error:
                if passing.on or not self.covers(error):
                    raise
                answer = self._answer(error)
                # A lambda may return the coroutine of another function.
                if self._awaited or isinstance(answer, CoroutineType):
                    return await cast("Awaitable[Any]", answer)
                return answer

        return with_fallback

    def wrap_blocking(self, call: Callable[..., Any], facts: StageContext) -> Callable[..., Any]:
        """See `Wrapper.wrap_blocking`."""
        if self._awaited:
            raise TypeError(f"{self.name}: a coroutine function cannot answer for a plain one")

        def with_fallback(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
            try:
                result = call(*args, **kwargs)
            except Exception as error:
                if passing.on or not self.covers(error):
                    raise
                answer = self._answer(error)
                if isinstance(answer, CoroutineType):
                    answer.close()
                    raise TypeError(f"{self.name}: a coroutine cannot answer for a plain function") from error
                return answer
            if must_be_awaited(result, self.name):
                return Awaiting(self.wrap_async(lambda: result, facts), self.name)
            return result

        return with_fallback

    def describe(self) -> str:
        """See `Part.describe`."""
        return "fallback: a substitute result where the call fails"
