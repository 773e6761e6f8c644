"""Description of one setting: the metadata of a field of `Settings`."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["About", "Secret", "Service"]

type Service = Literal["gateway", "engine", "up"]
"""A command that takes settings; `up` is `cqox up`, which starts the other two."""

type Secret = Literal["", "address", "token"]
"""Secret part of a value: none, a password that an address may hold, or all of it."""

_EVERYWHERE: tuple[Service, ...] = ("gateway", "engine", "up")


@dataclass(frozen=True, slots=True)
class About:
    """The variable of a setting, one sentence of help, its unit and bounds; see `services.config.table.Setting`."""

    variable: str
    help: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    services: tuple[Service, ...] = _EVERYWHERE
    shown: str = ""
    secret: Secret = ""
