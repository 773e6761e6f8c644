"""Result cache, result store and data set files: contracts and the backends that need no server.

The others are `cqox.storage.postgres` and `cqox.storage.redis`; each loads its driver.
"""

from cqox.storage.contracts import (
    DatasetRecord,
    JobRecord,
    JobStatus,
    Page,
    ResultCache,
    ResultStore,
    StoredReport,
)
from cqox.storage.files import FileStore
from cqox.storage.memory import MemoryCache
from cqox.storage.presence import Presence
from cqox.storage.schema import MigrationStatus
from cqox.storage.sqlite import SqliteStore

__all__ = [
    "DatasetRecord",
    "FileStore",
    "JobRecord",
    "JobStatus",
    "MemoryCache",
    "MigrationStatus",
    "Page",
    "Presence",
    "ResultCache",
    "ResultStore",
    "SqliteStore",
    "StoredReport",
]
