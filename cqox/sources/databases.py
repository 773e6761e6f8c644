"""The result of a query as a file: CSV from PostgreSQL and SQLite, Parquet from DuckDB. Queries can write nothing."""

import csv
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, LimitExceeded, SourceUnavailable
from cqox.sources.address import Query, kind_of, shown
from cqox.sources.budget import Budget

__all__ = ["write_query"]

_CONNECT_SECONDS = 10
_BLOCK_ROWS = 10_000


def write_query(query: Query, target: Path, *, max_bytes: int) -> None:
    """Run a query and write its result, names of columns included, to a file.

    Args:
        query: the query.
        target: the file to make.
        max_bytes: the most that is written.

    Raises:
        SourceUnavailable: the database cannot be reached.
        InvalidRequest: it refuses the query, or two columns of the result have one name.
        LimitExceeded: the result is larger than the limit.
    """
    write = {"postgresql": _postgresql, "sqlite": _sqlite, "duckdb": _duckdb}[kind_of(query.address)]
    write(query, target, max_bytes)


def _postgresql(query: Query, target: Path, max_bytes: int) -> None:
    import psycopg
    from psycopg import sql

    try:
        connection = psycopg.connect(query.address, connect_timeout=_CONNECT_SECONDS)
    except psycopg.Error as error:
        raise _unreachable(query, error) from error
    try:
        with connection, connection.cursor() as cursor, target.open("xb") as file:
            connection.read_only = True
            # The names first: COPY would give two columns one name without a word.
            cursor.execute(sql.SQL("SELECT * FROM ({}) AS q LIMIT 0").format(sql.SQL(query.text)))
            _check_names([column.name for column in cursor.description or ()])
            statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')").format(sql.SQL(query.text))
            with cursor.copy(statement) as rows:
                Budget(query.address, max_bytes).copy(rows, file)
    except psycopg.Error as error:
        raise _refused(query, error) from error
    finally:
        connection.close()


def _sqlite(query: Query, target: Path, max_bytes: int) -> None:
    path = Path(unquote(urlsplit(query.address).path))
    # Three slashes are an absolute path here, as everywhere but in SQLAlchemy, where it takes four.
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True)
    except sqlite3.Error as error:
        raise _unreachable(query, error) from error
    try:
        found = connection.execute(query.text)
        if found.description is None:
            raise InvalidRequest(Message("sources.no-rows-of-query"), field="query")
        names = [column[0] for column in found.description]
        _check_names(names)
        with target.open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            while rows := found.fetchmany(_BLOCK_ROWS):
                writer.writerows(rows)
                if file.tell() > max_bytes:
                    raise LimitExceeded(Message("sources.too-large", address=shown(query.address), most=max_bytes))
    except sqlite3.Error as error:
        raise _refused(query, error) from error
    finally:
        connection.close()


def _duckdb(query: Query, target: Path, max_bytes: int) -> None:
    import duckdb

    path = unquote(urlsplit(query.address).path)
    try:
        connection = duckdb.connect(path, read_only=True) if path.strip("/") else duckdb.connect()
    except duckdb.Error as error:
        raise _unreachable(query, error) from error
    try:
        relation = connection.sql(query.text)
        if relation is None:
            raise InvalidRequest(Message("sources.no-rows-of-query"), field="query")
        _check_names(relation.columns)
        relation.write_parquet(str(target))
    except duckdb.Error as error:
        raise _refused(query, error) from error
    finally:
        connection.close()
    if target.stat().st_size > max_bytes:
        raise LimitExceeded(Message("sources.too-large", address=shown(query.address), most=max_bytes))


def _check_names(names: Sequence[str]) -> None:
    for at, name in enumerate(names):
        if name in names[:at]:
            raise InvalidRequest(Message("sources.two-columns", column=name), field="query")


def _unreachable(query: Query, error: Exception) -> SourceUnavailable:
    return SourceUnavailable(Message("sources.not-fetched", address=shown(query.address), reason=_reason(query, error)))


def _refused(query: Query, error: Exception) -> InvalidRequest:
    return InvalidRequest(Message("sources.query-refused", reason=_reason(query, error)), field="query")


def _reason(query: Query, error: Exception) -> str:
    """Return what the database says, in one line and without the password."""
    text = " ".join(str(error).split())
    password = urlsplit(query.address).password
    if password:
        text = text.replace(password, "…").replace(unquote(password), "…")
    return shown(text) or type(error).__name__
