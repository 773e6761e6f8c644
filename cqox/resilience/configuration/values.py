"""Kinds of values in a policy file: each checks a value with the range that the code has, and describes it as a schema.

Ranges are checked by `runtime.ranges`, as in the constructors of the parts.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from cqox.resilience.configuration.dotted_names import or_near, resolve
from cqox.resilience.retry.budget import check_ratio
from cqox.resilience.runtime.criticality import Criticality
from cqox.resilience.runtime.ranges import check_callable, check_count, check_exceptions, check_flag, check_seconds
from cqox.resilience.runtime.token_bucket import check_rate

__all__ = [
    "Callback",
    "Choice",
    "Count",
    "Duration",
    "Exceptions",
    "Flag",
    "Levels",
    "Name",
    "Number",
    "Rate",
    "Ratio",
    "Value",
]

type Schema = dict[str, object]


class Value(ABC):
    """One kind of value."""

    @abstractmethod
    def read(self, key: str, given: object) -> object:
        """Return what the part takes for the value that is given in the file.

        Args:
            key: path of the key in the file, for messages.
            given: its value.

        Raises:
            ValueError: it is out of the range, with its value and the range.
        """

    @abstractmethod
    def schema(self) -> Schema:
        """Return the JSON Schema of the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Value):
    """An integer from `least`."""

    least: int = 1

    def read(self, key: str, given: object) -> int:
        """See `Value.read`."""
        return check_count(key, given, least=self.least)

    def schema(self) -> Schema:
        """See `Value.schema`."""
        return {"type": "integer", "minimum": self.least}


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration(Value):
    """Seconds from 0, or above 0 where `zero` is False; `infinite` where infinity is allowed."""

    zero: bool = True
    infinite: bool = False

    def read(self, key: str, given: object) -> float:
        """See `Value.read`."""
        if given is not None and not isinstance(given, int | float):
            given = str(given)  # a date or time of TOML is no duration
        return check_seconds(key, given, zero=self.zero, infinite=self.infinite)

    def schema(self) -> Schema:
        """See `Value.schema`."""
        return {"type": "number", "minimum" if self.zero else "exclusiveMinimum": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Value):
    """A number above 0, up to `most` where that is given; `closed` where `most` itself is allowed."""

    most: float | None = None
    closed: bool = True

    def read(self, key: str, given: object) -> float:
        """See `Value.read`."""
        most = "" if self.most is None else f" and {'at most' if self.closed else 'below'} {self.most:g}"
        problem = f"{key} must be a finite number above 0{most}, not {given!r}"
        try:
            number = check_rate(key, given)
        except ValueError:
            raise ValueError(problem) from None
        if number == 0 or (self.most is not None and (number > self.most or (number == self.most and not self.closed))):
            raise ValueError(problem)
        return number

    def schema(self) -> Schema:
        """See `Value.schema`."""
        most = {} if self.most is None else {"maximum" if self.closed else "exclusiveMaximum": self.most}
        return {"type": "number", "exclusiveMinimum": 0, **most}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate(Value):
    """A finite number from 0."""

    def read(self, key: str, given: object) -> float:
        """See `Value.read`."""
        return check_rate(key, given)

    def schema(self) -> Schema:
        """See `Value.schema`."""
        return {"type": "number", "minimum": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio(Value):
    """A number of retries per first attempt, from 0 to 1."""

    def read(self, key: str, given: object) -> float:
        """See `Value.read`."""
        return check_ratio(key, given)

    def schema(self) -> Schema:
        """See `Value.schema`."""
        return {"type": "number", "minimum": 0, "maximum": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Value):
    """True or false."""

    def read(self, key: str, given: object) -> bool:
        """See `Value.read`."""
        return check_flag(key, given)

    def schema(self) -> Schema:
        """See `Value.schema`."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Value):
    """One of `values`, which are texts, or True and False."""

    values: tuple[bool | str, ...]

    def read(self, key: str, given: object) -> bool | str:
        """See `Value.read`."""
        for value in self.values:
            if type(given) is type(value) and given == value:
                return value
        texts = [str(value).lower() if isinstance(value, bool) else f'"{value}"' for value in self.values]
        raise ValueError(f"{key} must be one of {', '.join(texts)}, not {given!r}")

    def schema(self) -> Schema:
        """See `Value.schema`."""
        return {"enum": list(self.values)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Value):
    """A text that is not empty."""

    def read(self, key: str, given: object) -> str:
        """See `Value.read`."""
        if not isinstance(given, str) or not given:
            raise ValueError(f"{key} must be a text that is not empty, not {given!r}")
        return given

    def schema(self) -> Schema:
        """See `Value.schema`."""
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceptions(Value):
    """The dotted name of an exception class or predicate, or a list of the names of classes."""

    def read(self, key: str, given: object) -> object:
        """See `Value.read`."""
        if isinstance(given, str):
            found = _resolved(key, given)
            if not callable(found) or (isinstance(found, type) and not issubclass(found, BaseException)):
                raise ValueError(
                    f"{key} must name an exception class or a predicate, not {given!r}, which is {found!r}"
                )
            return check_exceptions(key, found)
        if not isinstance(given, list) or not given:
            raise ValueError(f"{key} must be a dotted name or a list of them that is not empty, not {given!r}")
        return tuple(self._class(f"{key}[{at}]", name) for at, name in enumerate(cast("list[object]", given)))

    def _class(self, key: str, name: object) -> type[BaseException]:
        if not isinstance(name, str):
            raise ValueError(f"{key} must be a dotted name, such as 'httpx.TransportError', not {name!r}")
        found = _resolved(key, name)
        if not (isinstance(found, type) and issubclass(found, BaseException)):
            raise ValueError(f"{key} must name an exception class, not {name!r}, which is {found!r}")
        check_exceptions(key, found)
        return found

    def schema(self) -> Schema:
        """See `Value.schema`."""
        return {"anyOf": [_DOTTED, {"type": "array", "items": _DOTTED, "minItems": 1}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback(Value):
    """The dotted name of a function, which may be a coroutine function where `awaited`."""

    awaited: bool = False

    def read(self, key: str, given: object) -> object:
        """See `Value.read`."""
        if not isinstance(given, str):
            raise ValueError(f"{key} must be the dotted name of a function, not {given!r}")
        found = _resolved(key, given)
        if not callable(found):
            raise ValueError(f"{key} must name a function, not {given!r}, which is {found!r}")
        if not (self.awaited and inspect.iscoroutinefunction(found)):
            check_callable(key, found)
        return found

    def schema(self) -> Schema:
        """See `Value.schema`."""
        return _DOTTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels(Value):
    """A table with a share, above 0 and at most 1, for levels of criticality."""

    share: Number = field(default_factory=lambda: Number(most=1.0))

    def read(self, key: str, given: object) -> Mapping[Criticality, float]:
        """See `Value.read`."""
        labels = [level.label for level in Criticality if level is not Criticality.PROBE]
        if not isinstance(given, dict):
            raise ValueError(f"{key} must be a table of shares by level ({', '.join(labels)}), not {given!r}")
        shares: dict[Criticality, float] = {}
        for label, share in cast("dict[object, object]", given).items():
            level = Criticality.from_label(label) if isinstance(label, str) and label in labels else None
            if level is None:
                raise ValueError(f"{key} has no level {label!r}: {or_near(str(label), labels)}")
            shares[level] = self.share.read(f"{key}.{label}", share)
        return shares

    def schema(self) -> Schema:
        """See `Value.schema`."""
        labels = [level.label for level in Criticality if level is not Criticality.PROBE]
        properties = {label: self.share.schema() for label in labels}
        return {"type": "object", "properties": properties, "additionalProperties": False}


_DOTTED: Schema = {"type": "string", "pattern": r"^[^\W\d]\w*(\.[^\W\d]\w*)*$"}


def _resolved(key: str, name: str) -> object:
    try:
        return resolve(name)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error
