"""Data that are elsewhere: at a URL, in an object store, a folder or a database. Each becomes a file."""

from cqox.sources.address import Query, Source, kind_of, parse, path_of, sql
from cqox.sources.fetching import Fetched, fetch

__all__ = ["Fetched", "Query", "Source", "fetch", "kind_of", "parse", "path_of", "sql"]
