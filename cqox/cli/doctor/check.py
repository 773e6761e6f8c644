"""A check of the installation and its findings."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from cqox.contract.messages import Message

__all__ = ["Check", "Found", "Status"]

type Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One line of a check.

    Attributes:
        status: whether it works, works with a limit, or does not work.
        text: the finding.
        remedy: what to do; None where nothing is to be done.
        data: the same in numbers and names, for programs.
    """

    status: Status
    text: Message
    remedy: Message | None = None
    data: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check.

    Attributes:
        name: one word, for programs and for the first column.
        run: yields its findings; what it raises fails the check.
    """

    name: str
    run: Callable[[], Iterable[Found]]
