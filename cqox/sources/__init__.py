"""Data that are elsewhere: at a URL, in an object store, a folder or a database. Each becomes a file."""

from cqox.sources.address import Query, Source, kind_of, parse, path_of, shown, sql
from cqox.sources.fetching import Fetched, fetch
from cqox.sources.iceberg import IcebergField, IcebergTable, has_iceberg_metadata, iceberg_table
from cqox.sources.part_files import Parts, parts_of
from cqox.sources.place import (
    Place,
    files_changed,
    files_of,
    folder_of,
    partitions_of,
    remote_address,
    snapshot_of,
    suffixes_of,
)
from cqox.sources.postgres_connection import CONNECT_SECONDS, reading_connection, server_name
from cqox.sources.postgres_session import NULL, PostgresSession
from cqox.sources.remote import RemoteTable, listed, may_be_table
from cqox.sources.remote_file import SourceChanged

__all__ = [
    "CONNECT_SECONDS",
    "NULL",
    "Fetched",
    "IcebergField",
    "IcebergTable",
    "Parts",
    "Place",
    "PostgresSession",
    "Query",
    "RemoteTable",
    "Source",
    "SourceChanged",
    "fetch",
    "files_changed",
    "files_of",
    "folder_of",
    "has_iceberg_metadata",
    "iceberg_table",
    "kind_of",
    "listed",
    "may_be_table",
    "parse",
    "partitions_of",
    "parts_of",
    "path_of",
    "reading_connection",
    "remote_address",
    "server_name",
    "shown",
    "snapshot_of",
    "sql",
    "suffixes_of",
]
