"""Results that a retry does not accept: within its stage they are raised, so that they take the path of a failure.

The gates inside of the retry see such a result as the success of an attempt, and so those outside of it see the last.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["ResultCheck", "UnwantedResult", "raise_unwanted", "raise_unwanted_blocking", "return_last"]

type ResultCheck = Callable[[Any], bool]
"""Returns True for a result after which another attempt should follow."""


class UnwantedResult(Exception):
    """A result after which a retry makes another attempt, as `backoff`, `on_retry` and events get it.

    Attributes:
        value: the result.
    """

    def __init__(self, value: object) -> None:
        super().__init__("the result is one to retry")
        self.value = value


def raise_unwanted(function: Callable[..., Awaitable[Any]], is_unwanted: ResultCheck) -> Callable[..., Awaitable[Any]]:
    """Wrap `function` so that it raises `UnwantedResult` for the results that `is_unwanted` returns True for."""

    async def checked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        result = await function(*args, **kwargs)
        if is_unwanted(result):
            raise UnwantedResult(result)
        return result

    return checked


def raise_unwanted_blocking(
    function: Callable[..., Any], is_unwanted: ResultCheck, remember: Callable[[Any], None]
) -> Callable[..., Any]:
    """Synchronous twin of `raise_unwanted`; an awaitable passes, and `remember` gets the function that returned it."""

    def checked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        result = function(*args, **kwargs)
        if inspect.isawaitable(result):
            remember(function)
        elif is_unwanted(result):
            raise UnwantedResult(result)
        return result

    return checked


def return_last(call: Callable[..., Any], *, asynchronous: bool) -> Callable[..., Any]:
    """Wrap `call` so that the result of the last attempt is returned where no attempt may follow."""

    async def awaited(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        try:
            return await call(*args, **kwargs)
        except UnwantedResult as last:
            return last.value

    def plain(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - it has the callee's signature
        try:
            return call(*args, **kwargs)
        except UnwantedResult as last:
            return last.value

    return awaited if asynchronous else plain
