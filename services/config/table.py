"""The fields of `Settings` as rows, from which the environment, flags, help and documentation are derived."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from services.config.about import Secret, Service
from services.config.settings import Settings

__all__ = ["Setting", "table"]

_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the table of settings.

    Attributes:
        name: the field of `Settings`.
        variable: the environment variable.
        flag: the command-line flag; empty where the value is a secret.
        file_variable: the environment variable that names a file with the value; empty where it is no secret.
        secret: which part of the value is secret.
        kind: the type of the value.
        choices: the valid words of an enumeration; empty otherwise.
        default: the default for display, with its unit.
        unit: `bytes`, `seconds`, `days` or empty.
        minimum: the smallest valid number.
        maximum: the largest valid number.
        help: one sentence.
        services: the commands that have the flag.
    """

    name: str
    variable: str
    flag: str
    file_variable: str
    secret: Secret
    kind: type[str | int | float | Path]
    choices: tuple[str, ...]
    default: str
    unit: str
    minimum: float | None
    maximum: float | None
    help: str
    services: tuple[Service, ...]


def table() -> tuple[Setting, ...]:
    """Return every setting, in display order."""
    hints = get_type_hints(Settings, include_extras=True)
    return tuple(_line(field.name, hints[field.name], field.default) for field in fields(Settings))


def _line(name: str, hint: Any, default: object) -> Setting:  # noqa: ANN401 - a type form
    kind, about = get_args(hint)
    words = get_args(kind) if get_origin(kind) is Literal else ()
    return Setting(
        name=name,
        variable=about.variable,
        flag="" if about.secret == "token" else "--" + about.variable.removeprefix("CQOX_").lower().replace("_", "-"),
        file_variable=f"{about.variable}_FILE" if about.secret else "",
        secret=about.secret,
        kind=str if words else kind,
        choices=words,
        default=about.shown or _shown(default, about.unit),
        unit=about.unit,
        minimum=about.minimum,
        maximum=about.maximum,
        help=about.help,
        services=about.services,
    )


def _shown(default: object, unit: str) -> str:
    if unit == "bytes" and isinstance(default, int):
        return f"{default // _GIB} GiB" if default >= _GIB else f"{default // 2**20} MiB"
    return f"{default:g} {unit}".rstrip() if isinstance(default, float) else str(default)
