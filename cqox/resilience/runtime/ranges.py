"""Validation of settings: each check returns the value, or raises with the allowed range."""

import inspect
import math
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import cast

__all__ = [
    "Covered",
    "Listed",
    "Seconds",
    "as_listed",
    "as_seconds",
    "check_arguments",
    "check_callable",
    "check_count",
    "check_exceptions",
    "check_flag",
    "check_kind",
    "check_listener",
    "check_name",
    "check_seconds",
    "check_share",
    "percentage_hint",
]

type Seconds = float | timedelta
"""A duration: a number of seconds, or a `timedelta`."""

type Listed[E: BaseException] = type[E] | Collection[type[E]] | Callable[[Exception], bool]
"""Exceptions that a part covers: a class, a collection of classes, or a predicate."""

type Covered[E: BaseException] = tuple[type[E], ...] | Callable[[Exception], bool]
"""Exceptions that a part covers, after the check: a tuple of classes, or a predicate."""


def as_seconds(value: Seconds) -> float:
    """Return a duration in seconds; its range is not checked."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def as_listed[E: BaseException](value: Listed[E]) -> Covered[E]:
    """Return exception classes as a tuple, and all else as it is; neither is checked."""
    if isinstance(value, type):
        return (cast("type[E]", value),)
    given = cast("object", value)
    if callable(given) or isinstance(given, str) or not isinstance(given, Collection):
        return cast("Covered[E]", given)
    return tuple(cast("Collection[type[E]]", given))


def check_seconds(name: str, value: object, *, zero: bool = True, infinite: bool = False) -> float:
    """Return `value` as seconds.

    Args:
        name: the setting.
        value: the value to check: a number of seconds or a `timedelta`.
        zero: True where 0 is allowed.
        infinite: True where infinity is allowed.

    Raises:
        ValueError: it is neither a number nor a `timedelta`, NaN, negative, or 0 or infinite where that is not allowed.
    """
    allowed = f"{name} must be a number of seconds {'at least' if zero else 'above'} 0"
    if not infinite:
        allowed += ", and finite"
    given = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(f"{allowed}, {_not(value)}")
    try:
        seconds = float(given)
    except OverflowError:  # an integer beyond all floats
        seconds = math.inf if given > 0 else -math.inf
    if math.isnan(seconds) or seconds < 0 or (seconds == 0 and not zero) or (math.isinf(seconds) and not infinite):
        raise ValueError(f"{allowed}, {_not(value)}")
    return seconds


def check_count(name: str, value: object, *, least: int = 1) -> int:
    """Return `value` as a count.

    Raises:
        ValueError: it is not an integer, or below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, {_not(value)}")
    return value


def check_flag(name: str, value: object) -> bool:
    """Return `value` as a bool; a value that is only truthy or falsy, such as "false", is rejected.

    Raises:
        ValueError: it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, not {value!r}")
    return value


def check_share(name: str, value: object) -> float:
    """Return `value` as a share above 0 and at most 1.

    Raises:
        ValueError: it is not a number, or outside that range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(f"{name} must be a share above 0 and at most 1, not {value!r}{percentage_hint(value)}")
    return float(value)


def percentage_hint(value: object) -> str:
    """Return what to write instead of a percentage, empty where `value` is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 2 <= value <= 100:
        return ""
    return f": write {value / 100:g} for {value:g}%"


def check_exceptions(name: str, value: object) -> Covered[BaseException]:
    """Return `value` as a plain predicate or a non-empty tuple of exception classes.

    Args:
        name: the setting.
        value: an exception class, a tuple, list or set of them, or a predicate.

    Raises:
        ValueError: it is none of them, or a class that no `Exception` is an instance of, such as a cancellation: those
            pass through every part. `BaseException` means every `Exception`.
    """
    if isinstance(value, type | tuple | list | set | frozenset):
        kinds = (value,) if isinstance(value, type) else tuple(cast("Collection[object]", value))
        if kinds and all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            classes = cast("tuple[type[BaseException], ...]", kinds)
            for kind in classes:
                _check_handled(name, kind)
            return classes
    elif callable(value):
        check_callable(name, value, takes=1)
        return cast("Callable[[Exception], bool]", value)
    raise ValueError(
        f"{name} must be an exception class, a non-empty tuple, list or set of them, or a predicate, not {value!r}"
    )


def _check_handled(name: str, kind: type[BaseException]) -> None:
    """Refuse a class whose instances no part handles; a `BaseExceptionGroup` may be a group of `Exception` alone."""
    if kind is BaseException or issubclass(kind, Exception | BaseExceptionGroup):
        return
    raise ValueError(
        f"{name} must not list {kind.__name__}: cancellations, exits and interrupts always pass through, and only "
        "subclasses of Exception are handled; leave it out"
    )


def check_kind(name: str, value: object, kind: type) -> None:
    """Check that `value` is None or an instance of `kind`.

    Raises:
        ValueError: it is neither.
    """
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{name} must be a {kind.__name__} or None, not {value!r}")


def check_callable(name: str, value: object, *, takes: int | None = None) -> None:
    """Check that `value` is None or a plain callable; a coroutine function would never be awaited.

    Args:
        name: the setting.
        value: the value to check.
        takes: number of positional arguments that it is called with, None where that is not checked.

    Raises:
        ValueError: it is neither, an exception class, or does not take its arguments.
    """
    if value is not None and not callable(value):
        raise ValueError(f"{name} must be callable, not {value!r}")
    if inspect.iscoroutinefunction(value):
        raise ValueError(f"{name} must be a plain function, not the coroutine function {value!r}")
    if isinstance(given := cast("object", value), type) and issubclass(given, BaseException):
        raise ValueError(f"{name} must be a function, not the exception class {given.__name__}")
    if takes is not None and callable(value):
        check_arguments(name, value, takes)


def check_arguments(name: str, function: Callable[..., object], count: int) -> None:
    """Check that `function` can be called with `count` positional arguments, where its signature is known.

    Raises:
        ValueError: it cannot.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # a function or class in C without one
        return
    try:
        signature.bind(*[None] * count)
    except TypeError:
        arguments = "1 argument" if count == 1 else f"{count} arguments"
        raise ValueError(f"{name} must take {arguments}, not {signature}: {function!r}") from None


def check_listener(value: object) -> None:
    """Check that `value` is a plain callable; a coroutine function would never be awaited.

    Raises:
        ValueError: it is not.
    """
    if value is None:
        raise ValueError("listener must be callable, not None")
    check_callable("listener", value)


def check_name(value: object) -> str:
    """Return `value` as a name.

    Raises:
        ValueError: it is not a string, or empty.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"name must be a non-empty string, {_not(value)}")
    return value


def _not(value: object) -> str:
    """Say what was given instead; a function was most likely decorated with the class of a part."""
    hint = ": a part has its settings before it decorates, as in @Retry(3)" if inspect.isfunction(value) else ""
    return f"not {value!r}{hint}"
