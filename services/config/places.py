"""Sources of tables in place: those tables of the file of the setting CQOX_SOURCES that have a `kind`."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from cqox.contract.request import MOST_OF_A_SOURCE, MOST_OF_A_TABLE
from cqox.errors import InputError
from cqox.sources import Place, kind_of
from services.config.configuration import SettingsError
from services.config.sources import NAME, expanded, tables_of

__all__ = ["places"]

_COMMON = {"kind", "tables", "key", "as_of", "tenants", "most_concurrent", "meaning"}
_MEMBERS: Mapping[str, set[str]] = {
    "postgres": _COMMON | {"address"},
    "parquet": _COMMON | {"folder", "url"},
    "csv": _COMMON | {"folder", "url", "types"},
    # Its snapshots have numbers of their own.
    "iceberg": (_COMMON | {"folder"}) - {"as_of"},
}
_KINDS: Mapping[str, Literal["postgres", "parquet", "csv", "iceberg"]] = {
    "postgres": "postgres",
    "parquet": "parquet",
    "csv": "csv",
    "iceberg": "iceberg",
}
_TYPES = ("whole", "real", "word", "day", "moment")
_MOST_AT_ONCE = 64


def places(path: Path, environment: Mapping[str, str] = os.environ) -> dict[str, Place]:
    """Read the sources of tables in place.

    A source has `kind`, `postgres`, `parquet`, `csv` or `iceberg`; `address` of the server, `folder`, or in its place
    `url` of a folder in an object store or of a file; `tables`; and, where wanted, `key`, `as_of`, `tenants`,
    `most_concurrent` and `meaning`, and of CSV files `types`, the kinds of columns by name. `${NAME}` in an address is
    taken from the environment.

    Raises:
        SettingsError: the file cannot be read, or a source in it is not valid. No address is in it.
    """
    return {
        name: _Table(path, name, table).place(environment)
        for name, table in tables_of(path).items()
        if isinstance(table, dict) and "kind" in table
    }


class _Table:
    """One source in the file."""

    def __init__(self, path: Path, name: str, table: Mapping[str, object]) -> None:
        self._where = f"CQOX_SOURCES: {path}, source '{name}'"
        self._name = name
        self._table = table

    def place(self, environment: Mapping[str, str]) -> Place:
        """Return the source."""
        if not NAME.fullmatch(self._name) or len(self._name) > MOST_OF_A_SOURCE:
            raise self._refused(f"a name has letters, digits, '.', '_' and '-', at most {MOST_OF_A_SOURCE} of them")
        kind = self._table["kind"]
        if kind not in _MEMBERS:
            raise self._refused(f"kind is one of {', '.join(_MEMBERS)}")
        unknown = sorted(self._table.keys() - _MEMBERS[str(kind)])
        if unknown:
            raise self._refused(
                f"unknown members {', '.join(unknown)}; there are {', '.join(sorted(_MEMBERS[str(kind)]))}"
            )
        of_server = kind == "postgres"
        if kind == "iceberg" and find_spec("pyiceberg") is None:
            raise self._refused("Iceberg tables need pyiceberg; install cqox[iceberg]")
        tenants = self._texts("tenants")
        return Place(
            name=self._name,
            kind=_KINDS[str(kind)],
            address=self._address(environment) if of_server else self._url(environment),
            folder=Path() if of_server or "url" in self._table else self._folder(),
            tables=self._tables(of_server=of_server),
            key=self._text("key"),
            as_of=self._text("as_of"),
            tenants=None if tenants is None else frozenset(tenants),
            most_concurrent=self._most_concurrent(),
            meaning=self._text("meaning") or "",
            types=self._types(),
        )

    def _address(self, environment: Mapping[str, str]) -> str:
        address = self._expanded("address", environment)
        if not address:
            raise self._refused("it needs an address")
        try:
            from psycopg import ProgrammingError
            from psycopg.conninfo import conninfo_to_dict
        except ModuleNotFoundError:
            raise self._refused("PostgreSQL needs psycopg; install cqox[sources]") from None
        try:
            conninfo_to_dict(address)
        except ProgrammingError:
            # What the driver says repeats parts of the address, and a password may be one of them.
            raise self._refused("the address is no URL and no connection string of PostgreSQL") from None
        return address

    def _url(self, environment: Mapping[str, str]) -> str:
        """Return the address of files that are not on the disk; empty where there is a folder."""
        if "url" not in self._table:
            return ""
        if "folder" in self._table:
            raise self._refused("it has either a folder or a url")
        url = self._expanded("url", environment)
        try:
            kind = kind_of(url)
        except InputError:
            kind = "file"
        if kind not in ("url", "objects") or not urlsplit(url).netloc:
            raise self._refused("url is an address such as s3://bucket/prefix or https://host/table.parquet")
        if kind == "url" and self._table.get("tables") and urlsplit(url).query:
            raise self._refused("a url with tables below it has no query")
        if kind == "objects" and find_spec("obstore") is None:
            raise self._refused("object stores need obstore; install cqox[sources]")
        self._check_duckdb()
        return url

    def _folder(self) -> Path:
        folder = Path(self._text("folder") or "")
        if folder == Path() or not folder.is_dir():
            raise self._refused("it needs a folder that exists, or a url")
        self._check_duckdb()
        return folder

    def _check_duckdb(self) -> None:
        if find_spec("duckdb") is None:
            raise self._refused("files in place need DuckDB; install cqox[scale]")

    def _expanded(self, member: str, environment: Mapping[str, str]) -> str:
        try:
            return expanded(self._text(member) or "", environment)
        except KeyError as error:
            raise self._refused(f"the environment has no variable {error.args[0]}") from None

    def _tables(self, *, of_server: bool) -> tuple[str, ...]:
        tables = self._texts("tables")
        if not of_server:
            # Without tables, the folder is one, which has the name of the source.
            tables = tables or (self._name,)
            wrong = [table for table in tables if not NAME.fullmatch(table)]
            if wrong:
                raise self._refused(f"the table '{wrong[0]}' is not the name of a file or a folder in its folder")
        long = [table for table in tables or () if len(table) > MOST_OF_A_TABLE]
        if long:
            raise self._refused(f"the name of a table has at most {MOST_OF_A_TABLE} characters")
        if not tables:
            raise self._refused('it needs tables, as ["schema.table"]')
        return tables

    def _types(self) -> Mapping[str, str]:
        types = self._table.get("types", {})
        if not isinstance(types, dict) or not all(kind in _TYPES for kind in types.values()):
            raise self._refused(f"types gives columns one of {', '.join(_TYPES)}")
        return types

    def _most_concurrent(self) -> int:
        most = self._table.get("most_concurrent", 2)
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST_AT_ONCE:
            raise self._refused(f"most_concurrent is a whole number from 1 to {_MOST_AT_ONCE}")
        return most

    def _text(self, member: str) -> str | None:
        value = self._table.get(member)
        if value is not None and not isinstance(value, str):
            raise self._refused(f"{member} is a text")
        return value

    def _texts(self, member: str) -> tuple[str, ...] | None:
        value = self._table.get(member)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            raise self._refused(f"{member} is a list of texts")
        return tuple(value)

    def _refused(self, reason: str) -> SettingsError:
        return SettingsError(f"{self._where}: {reason}")
