"""Result cache, result store and data set files: contracts and their backends."""

from cqox.storage.contracts import DatasetRecord, Page, ResultCache, ResultStore, StoredReport
from cqox.storage.files import FileStore
from cqox.storage.memory import MemoryCache
from cqox.storage.sqlite import SqliteStore

__all__ = [
    "DatasetRecord",
    "FileStore",
    "MemoryCache",
    "Page",
    "ResultCache",
    "ResultStore",
    "SqliteStore",
    "StoredReport",
]
