"""Data sources that the operator names: clients read them by name, and never by an address of their own."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cqox.errors import InputError
from cqox.sources import Source, parse, sql
from services.config.configuration import SettingsError

__all__ = ["NamedSource", "named_sources"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_MEMBERS = {"address", "query", "meaning", "read"}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSource:
    """One data source.

    Attributes:
        name: its name in requests.
        source: a path, an address or a query; it may hold a password.
        meaning: one sentence for people.
        read: options of the file reader.
    """

    name: str
    source: Source = field(repr=False)
    meaning: str = ""
    read: Mapping[str, str]


def named_sources(path: Path, environment: Mapping[str, str] = os.environ) -> dict[str, NamedSource]:
    """Read the file of the setting CQOX_SOURCES; no sources where there is no such setting.

    The file has a table for each source: `address` (a path, a URL, `s3://…` or a database), `query` for a database,
    `meaning` and `read` (options of the reader). `${NAME}` in an address is taken from the environment.

    Raises:
        SettingsError: the file cannot be read, or a source in it is not valid.
    """
    if path == Path():
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"CQOX_SOURCES: {path} cannot be read: {error}") from None
    return {name: _source(path, name, table, environment) for name, table in tables.items()}


def _source(path: Path, name: str, table: object, environment: Mapping[str, str]) -> NamedSource:
    def refused(reason: str) -> SettingsError:
        return SettingsError(f"CQOX_SOURCES: {path}, source '{name}': {reason}")

    if not _NAME.fullmatch(name):
        raise refused("a name has letters, digits, '.', '_' and '-', at most 100 of them")
    if not isinstance(table, dict) or not isinstance(table.get("address"), str):
        raise refused("it needs an address")
    unknown = sorted(table.keys() - _MEMBERS)
    if unknown:
        raise refused(f"unknown members {', '.join(unknown)}; there are {', '.join(sorted(_MEMBERS))}")
    absent = [variable for variable in _VARIABLE.findall(table["address"]) if variable not in environment]
    if absent:
        raise refused(f"the environment has no variable {absent[0]}")
    address = _VARIABLE.sub(lambda found: environment[found[1]], table["address"])
    try:
        source = sql(table["query"], address) if "query" in table else parse(address)
    except InputError as error:
        raise refused(str(error.detail)) from None
    assert source is not None
    read = table.get("read", {})
    if not isinstance(read, dict):
        raise refused("'read' is a table of options")
    return NamedSource(
        name=name,
        source=source,
        meaning=str(table.get("meaning", "")),
        read={key: str(value) for key, value in read.items()},
    )
