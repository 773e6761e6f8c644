"""Settings that a policy file can give: those of the constructors of the parts, each with its kind of value.

Names, defaults and descriptions come from the constructors; a test compares both. What only code can give, such as a
clock or a random generator, is in `IN_CODE`.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from cqox.resilience.circuit import CircuitBreaker, FailureRate
from cqox.resilience.configuration.dotted_names import or_near
from cqox.resilience.configuration.values import (
    Callback,
    Choice,
    Count,
    Duration,
    Exceptions,
    Flag,
    Levels,
    Name,
    Number,
    Rate,
    Ratio,
    Value,
)
from cqox.resilience.deadlines.timeout import Timeout
from cqox.resilience.limits.adaptive import AdaptiveLimit
from cqox.resilience.limits.bulkhead import Bulkhead
from cqox.resilience.limits.drain import Drain
from cqox.resilience.limits.load_shedding import Shed
from cqox.resilience.limits.rate_limit import RateLimit
from cqox.resilience.retry.budget import RetryBudget
from cqox.resilience.retry.fallback import Fallback
from cqox.resilience.retry.hedge import Hedge
from cqox.resilience.retry.retry import Retry

__all__ = ["BUDGET", "IN_CODE", "PARTS", "TABLES", "Kind", "read_settings"]

IN_CODE = frozenset({"clock", "rng", "key"})
"""Arguments of constructors that only code can give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A class whose objects a file can describe.

    Attributes:
        made_by: the class.
        settings: kind of value of each setting.
    """

    made_by: Callable[..., object]
    settings: Mapping[str, Value]

    @property
    def name(self) -> str:
        """Name of the class, as in the file."""
        return cast("type", self.made_by).__name__

    @property
    def required(self) -> frozenset[str]:
        """Settings without a default; the name of a circuit breaker has one in a file."""
        parameters = inspect.signature(self.made_by).parameters
        return frozenset(name for name in self.settings if parameters[name].default is inspect.Parameter.empty) - {
            "name"
        }

    def with_defaults(self, given: Mapping[str, object]) -> dict[str, object]:
        """Return `given` with the default of each setting that it lacks."""
        parameters = inspect.signature(self.made_by).parameters
        settings = {name: given.get(name, parameters[name].default) for name in self.settings}
        if self.made_by is RateLimit and settings["burst"] is None:
            # `reconfigure` takes None for a burst that stays.
            settings["burst"] = settings["calls"]
        return settings

    def description(self, setting: str) -> str:
        """Return the description of a setting in the docstring of the class."""
        return _described(self.made_by).get(setting, "")


class _Table(Value):
    """A table with the settings of an object."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def read(self, key: str, given: object) -> object:
        """See `Value.read`."""
        if not isinstance(given, dict):
            raise ValueError(f"{key} must be a table of settings, not {given!r}")
        problems: list[str] = []
        settings = read_settings(key, cast("dict[object, object]", given), self.kind, problems)
        if problems:
            raise ValueError("\n".join(problems))
        try:
            return self.kind.made_by(**settings)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None

    def schema(self) -> dict[str, object]:
        """See `Value.schema`."""
        return {"$ref": f"#/$defs/{self.kind.name}"}


def read_settings(where: str, given: Mapping[object, object], kind: Kind, problems: list[str]) -> dict[str, object]:
    """Check the settings of one object and return those without a problem.

    Args:
        where: path of the table in the file.
        given: the settings as in the file.
        kind: the class of the object.
        problems: one sentence is added for each problem.
    """
    settings: dict[str, object] = {}
    for key, value in given.items():
        known = kind.settings.get(key) if isinstance(key, str) else None
        if known is None:
            if key in IN_CODE and key in inspect.signature(kind.made_by).parameters:
                problems.append(f"{where}.{key} cannot be in a file: only code can give it")
            else:
                problems.append(f"{where} has no setting {key!r} of {kind.name}: {or_near(str(key), kind.settings)}")
            continue
        try:
            settings[cast("str", key)] = known.read(f"{where}.{key}", value)
        except ValueError as error:
            problems.extend(str(error).split("\n"))
    problems.extend(f"{where} lacks {name!r}, which {kind.name} needs" for name in sorted(kind.required - {*given}))
    return settings


_RATE = Kind(
    made_by=FailureRate,
    settings={
        "rate": Number(most=1.0),
        "window": Count(),
        "seconds": Duration(zero=False),
        "minimum_calls": Count(),
        "slow_call_seconds": Duration(zero=False),
        "slow_call_rate": Number(most=1.0),
    },
)

BUDGET = Kind(made_by=RetryBudget, settings={"ratio": Ratio(), "floor_per_second": Rate(), "name": Name()})
"""Retry budgets, which the file names so that several policies can share one."""

_KINDS = (
    Kind(
        made_by=AdaptiveLimit,
        settings={
            "initial_limit": Count(),
            "min_limit": Count(),
            "max_limit": Count(),
            "max_queued": Count(least=0),
            "increase": Number(),
            "decrease": Number(most=1.0, closed=False),
            "slow_call_seconds": Duration(zero=False),
            "overloads": Callback(),
            "name": Name(),
        },
    ),
    Kind(made_by=Bulkhead, settings={"max_concurrent": Count(), "max_queued": Count(least=0), "name": Name()}),
    Kind(
        made_by=CircuitBreaker,
        settings={
            "failure_threshold": Count(),
            "recovery_timeout": Duration(),
            "half_open_max_calls": Count(),
            "probe_timeout": Duration(zero=False),
            "probe": Callback(awaited=True),
            "failures": Exceptions(),
            "failure_if": Callback(),
            "failure_rate": _Table(_RATE),
            "name": Name(),
        },
    ),
    Kind(made_by=Drain, settings={"retry_after": Duration(), "name": Name()}),
    Kind(made_by=Fallback, settings={"answer": Callback(awaited=True), "exceptions": Exceptions(), "name": Name()}),
    Kind(
        made_by=Hedge,
        settings={"delay": Duration(zero=False), "max_attempts": Count(least=2), "budget": Name(), "name": Name()},
    ),
    Kind(
        made_by=RateLimit,
        settings={
            "calls": Count(),
            "seconds": Duration(zero=False),
            "burst": Count(),
            "max_wait": Duration(infinite=True),
            "name": Name(),
        },
    ),
    Kind(
        made_by=Retry,
        settings={
            "max_attempts": Count(),
            "base_delay": Duration(),
            "max_delay": Duration(),
            "jitter": Choice(values=(True, False, "full", "decorrelated")),
            "exceptions": Exceptions(),
            "budget": Name(),
            "idempotent": Flag(),
            "idempotency_key": Flag(),
            "max_retry_after": Duration(),
            "retry_if": Callback(),
            "max_duration": Duration(zero=False),
            "backoff": Callback(),
            "on_retry": Callback(),
            "name": Name(),
        },
    ),
    Kind(
        made_by=Shed,
        settings={
            "capacity": Count(),
            "shares": Levels(),
            "load": Callback(),
            "retry_after": Duration(),
            "name": Name(),
        },
    ),
    Kind(made_by=Timeout, settings={"seconds": Duration(zero=False, infinite=True), "name": Name()}),
)

PARTS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _KINDS})
"""The kinds of part, by the name of their class."""

TABLES: Mapping[str, Kind] = MappingProxyType({"FailureRate": _RATE})
"""Objects that are a table in the settings of a part."""

_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def _described(made_by: Callable[..., object]) -> dict[str, str]:
    """Return the descriptions of arguments and attributes in the docstrings of a class."""
    found: dict[str, str] = {}
    for docstring in (inspect.getdoc(made_by), inspect.getdoc(getattr(made_by, "__init__", None))):
        for name, text in _ARGUMENT.findall(docstring or ""):
            found[name] = " ".join(text.split())
    return found
