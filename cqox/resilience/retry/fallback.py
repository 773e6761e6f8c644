"""Another answer where there is none.

What lives here: what a caller gets instead of an exception. What does not: deciding that a call failed.
"""

import inspect
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, cast

from cqox.resilience.pipeline.awaitables import Awaiting, must_be_awaited
from cqox.resilience.pipeline.part import Facts, Wrapper
from cqox.resilience.runtime.ranges import check_exceptions, check_name

__all__ = ["Fallback"]


class Fallback(Wrapper):
    """Answers with `answer(error)` where the call ends with one of `exceptions`: `Fallback(lambda error: [])`.

    `answer` may be a coroutine function where the call is awaited. What it raises goes to the caller instead.
    Rejections are exceptions like others; a cancellation is none, and goes through. An exception group is answered
    only if every leaf is one of `exceptions`.
    """

    __slots__ = ("_answer", "_awaited", "_exceptions", "name")

    def __init__(
        self,
        answer: Callable[[Exception], object],
        exceptions: tuple[type[Exception], ...] | Callable[[Exception], bool] = (Exception,),
        *,
        name: str = "fallback",
    ) -> None:
        """Say what to answer, and when.

        Args:
            answer: takes the exception and returns the answer.
            exceptions: classes to answer for, or a predicate.
            name: what explanations call it.

        Raises:
            ValueError: `exceptions` is empty or no exceptions.
            TypeError: `answer` is no function: write `lambda error: value` for a constant.
        """
        if not callable(answer):
            raise TypeError(f"answer must be a function of the exception, such as `lambda error: ...`, not {answer!r}")
        check_exceptions("exceptions", exceptions)
        self.name = check_name(name)
        self._answer = answer
        self._exceptions = exceptions
        self._awaited = inspect.iscoroutinefunction(answer) or inspect.iscoroutinefunction(
            getattr(answer, "__call__", None)  # noqa: B004 - the method is looked at, not called
        )

    def covers(self, error: Exception) -> bool:
        """Whether `error` is answered for."""
        if isinstance(error, ExceptionGroup):
            return all(self.covers(leaf) for leaf in cast("ExceptionGroup[Exception]", error).exceptions)
        if callable(self._exceptions):
            return self._exceptions(error)
        return isinstance(error, self._exceptions)

    def wrap_async(self, call: Callable[..., Awaitable[Any]], facts: Facts) -> Callable[..., Awaitable[Any]]:
        """See `Wrapper.wrap_async`."""

        async def with_fallback(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
            try:
                return await call(*args, **kwargs)
            except Exception as error:
                if not self.covers(error):
                    raise
                answer = self._answer(error)
                # A lambda may return the coroutine of another function.
                if self._awaited or isinstance(answer, CoroutineType):
                    return await cast("Awaitable[Any]", answer)
                return answer

        return with_fallback

    def wrap_blocking(self, call: Callable[..., Any], facts: Facts) -> Callable[..., Any]:
        """See `Wrapper.wrap_blocking`."""
        if self._awaited:
            raise TypeError(f"{self.name}: a coroutine function cannot answer for a plain one")

        def with_fallback(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
            try:
                result = call(*args, **kwargs)
            except Exception as error:
                if not self.covers(error):
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
        return "fallback: another answer where the call fails"
