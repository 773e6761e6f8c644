"""Result cache, result store and data set files: contracts, and the backends that need no server.

The other backends are `cqox.storage.postgres` and `cqox.storage.redis`; each imports its driver.
"""

from cqox.storage.ballast import Ballast
from cqox.storage.contracts import (
    DatasetRecord,
    JobRecord,
    JobStatus,
    ResultCache,
    ResultStore,
    StoredReport,
)
from cqox.storage.disk import LEAST_FREE_BYTES, check_room, is_disk_fault, unavailable, usable_directory
from cqox.storage.files import FileStore
from cqox.storage.history import Annotation, HistoryStore, Looks, ReportSummary
from cqox.storage.liveness_lock import LivenessLock
from cqox.storage.memory import MemoryCache
from cqox.storage.originals import Original
from cqox.storage.pages import Page
from cqox.storage.partial_uploads import PARTIAL_SECONDS, PartialUpload, Piece
from cqox.storage.schema import MigrationStatus
from cqox.storage.shares import Share, ShareStore
from cqox.storage.sqlite import SqliteStore

__all__ = [
    "LEAST_FREE_BYTES",
    "PARTIAL_SECONDS",
    "Annotation",
    "Ballast",
    "DatasetRecord",
    "FileStore",
    "HistoryStore",
    "JobRecord",
    "JobStatus",
    "LivenessLock",
    "Looks",
    "MemoryCache",
    "MigrationStatus",
    "Original",
    "Page",
    "PartialUpload",
    "Piece",
    "ReportSummary",
    "ResultCache",
    "ResultStore",
    "Share",
    "ShareStore",
    "SqliteStore",
    "StoredReport",
    "check_room",
    "is_disk_fault",
    "unavailable",
    "usable_directory",
]
