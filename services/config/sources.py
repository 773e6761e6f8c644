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

__all__ = ["NAME", "NamedSource", "expanded", "named_sources", "tables_of"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
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

    The file has a table for each source; `places` reads those with a `kind`. The others have `address` (a path, a URL,
    `s3://…` or a database), `query` for a database, `meaning` and `read` (options of the reader). `${NAME}` in an
    address is taken from the environment.

    Raises:
        SettingsError: the file cannot be read, or a source in it is not valid.
    """
    return {
        name: _source(path, name, table, environment)
        for name, table in tables_of(path).items()
        if not (isinstance(table, dict) and "kind" in table)
    }


def tables_of(path: Path) -> Mapping[str, object]:
    """Return the tables of the file of the setting CQOX_SOURCES; none where there is no such setting.

    Raises:
        SettingsError: the file cannot be read.
    """
    if path == Path():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"CQOX_SOURCES: {path} cannot be read: {error}") from None


def expanded(address: str, environment: Mapping[str, str]) -> str:
    """Return an address with the variables in it replaced by their values.

    Raises:
        KeyError: the environment lacks a variable; its name is the argument.
    """
    return _VARIABLE.sub(lambda found: environment[found[1]], address)


def _source(path: Path, name: str, table: object, environment: Mapping[str, str]) -> NamedSource:
    def refused(reason: str) -> SettingsError:
        return SettingsError(f"CQOX_SOURCES: {path}, source '{name}': {reason}")

    if not NAME.fullmatch(name):
        raise refused("a name has letters, digits, '.', '_' and '-', at most 100 of them")
    if not isinstance(table, dict) or not isinstance(table.get("address"), str):
        raise refused("it needs an address")
    unknown = sorted(table.keys() - _MEMBERS)
    if unknown:
        raise refused(f"unknown members {', '.join(unknown)}; there are {', '.join(sorted(_MEMBERS))}")
    try:
        address = expanded(table["address"], environment)
    except KeyError as error:
        raise refused(f"the environment has no variable {error.args[0]}") from None
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
