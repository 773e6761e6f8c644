"""Addresses of data, and what kind of place each one names. Passwords in them are never shown."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest

__all__ = ["Kind", "Query", "Source", "kind_of", "parse", "shown", "sql"]

type Kind = Literal["file", "url", "objects", "postgresql", "sqlite", "duckdb"]
"""`file` is a file or folder of this machine, `objects` an object store."""

_SCHEMES: dict[str, Kind] = {
    "http": "url", "https": "url", "s3": "objects", "s3a": "objects", "gs": "objects", "az": "objects",
    "azure": "objects", "abfs": "objects", "abfss": "objects", "postgresql": "postgresql", "postgres": "postgresql",
    "sqlite": "sqlite", "duckdb": "duckdb", "file": "file",
}  # fmt: skip
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)://")
# A password may contain `@`, and a slash where it was not quoted; a path contains `@` as well.
_USER = re.compile(r"(?<=://)(?:[^/\s]*@|[^/\s@:\[\]]*:(?!\d*(?:[/?#,\s]|$))\S*@)")
_SECRETS = re.compile(r"(?i)\b(password|passfile|sslpassword|token|signature|sig|x-amz-[a-z-]+|key)=[^&\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The result of a query as a data set.

    Attributes:
        text: the query, one SELECT.
        address: of the database: `postgresql://user@host/name`, `sqlite:///path` or `duckdb:///path`. It is not part of
            the representation, because it may hold a password.
    """

    text: str
    address: str = field(repr=False)


type Source = str | os.PathLike[str] | Query


def sql(query: str, address: str) -> Query:
    """Return the result of a query as data for `analyze` and `roles`.

    Args:
        query: one SELECT; it runs in a transaction that can write nothing.
        address: of the database: `postgresql://user@host/name` (the password may be in it, in PGPASSWORD or in
            ~/.pgpass), `sqlite:///path` or `duckdb:///path`; `duckdb://` alone is one in memory, for queries on files.

    Raises:
        InvalidRequest: the address is not that of a database, or the query is empty.
    """
    kind = kind_of(address)
    if kind not in ("postgresql", "sqlite", "duckdb"):
        raise InvalidRequest(
            Message("sources.no-database", address=shown(address)), field="address",
            choices=["postgresql://", "sqlite:///", "duckdb:///"],
        )  # fmt: skip
    text = query.strip().rstrip(";").rstrip()
    if not text:
        raise InvalidRequest(Message("sources.no-query"), field="query")
    return Query(text=text, address=address)


def kind_of(address: str | os.PathLike[str]) -> Kind:
    """Return what an address names.

    Raises:
        InvalidRequest: its scheme is unknown.
    """
    scheme = _SCHEME.match(address) if isinstance(address, str) else None
    if scheme is None:
        return "file"
    kind = _SCHEMES.get(scheme[1].lower())
    if kind is None:
        raise InvalidRequest(
            Message("sources.no-scheme", scheme=scheme[1]), field="data",
            choices=[f"{name}://" for name in _SCHEMES],
        )  # fmt: skip
    return kind


def parse(data: object) -> Source | None:
    """Return data that name a place: a path, an address, a query; None for anything else, such as a frame.

    Raises:
        InvalidRequest: an empty path, an address of an unknown scheme, or of a database without a query.
    """
    if isinstance(data, Query):
        return data
    if isinstance(data, bytes):
        data = os.fsdecode(data)
    if not isinstance(data, str | os.PathLike):
        return None
    # An empty path would be the current folder.
    if not os.fspath(data):
        raise InvalidRequest(Message("sources.empty-path"), field="data")
    if kind_of(data) in ("postgresql", "sqlite", "duckdb"):
        raise InvalidRequest(Message("sources.needs-query", address=shown(os.fspath(data))), field="data")
    return data


def path_of(address: str | os.PathLike[str]) -> Path:
    """Return the path of an address of this machine, `file:///…` included."""
    text = os.fsdecode(address)
    return Path(urlsplit(text).path if text.lower().startswith("file://") else text)


def shown(address: str) -> str:
    """Return an address, or the words of a server, without user, password and keys, for messages.

    Characters that control a terminal are escaped.
    """
    plain = _SECRETS.sub(lambda found: f"{found[1]}=…", _USER.sub("", address))
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in plain)[:200]
