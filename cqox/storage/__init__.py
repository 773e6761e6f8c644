"""Result cache, result store and data set files: contracts, and the backends that need no server.

The other backends are `cqox.storage.postgres` and `cqox.storage.redis`; each imports its driver.
"""

from cqox.storage.audit import AuditFilter, AuditStore
from cqox.storage.ballast import Ballast
from cqox.storage.caches import ResultCache, SharedCache
from cqox.storage.contracts import (
    DatasetRecord,
    JobRecord,
    JobStatus,
    ResultDatabase,
    ResultStore,
    StoredReport,
)
from cqox.storage.data_directory import DataDirectory
from cqox.storage.disk import LEAST_FREE_BYTES, check_room, is_disk_fault, unavailable, usable_directory
from cqox.storage.erasures import ErasureRecord, ErasureStore
from cqox.storage.facts import FactsStore, Item, ReportFacts, Reuse
from cqox.storage.files import FileStore
from cqox.storage.history import Annotation, HistoryStore, Looks, ReportSummary
from cqox.storage.identities import ApiKeyRecord, IdentityStore, TenantRecord, TenantRetention
from cqox.storage.liveness_lock import LivenessLock
from cqox.storage.memory import MemoryCache
from cqox.storage.originals import Original
from cqox.storage.pages import Page
from cqox.storage.partial_upload import PARTIAL_SECONDS, PartialUpload
from cqox.storage.readable import Readable
from cqox.storage.schema import MigrationStatus
from cqox.storage.sealed_store import SealedStore
from cqox.storage.sealing import FileKeys, Sealing, Writer
from cqox.storage.shares import Share, ShareStore
from cqox.storage.sqlite import SqliteStore
from cqox.storage.tenant_files import PieceWriter, TenantFiles
from cqox.storage.tenant_ids import DEFAULT_TENANT, check_tenant_id, is_tenant_id

__all__ = [
    "DEFAULT_TENANT",
    "LEAST_FREE_BYTES",
    "PARTIAL_SECONDS",
    "Annotation",
    "ApiKeyRecord",
    "AuditFilter",
    "AuditStore",
    "Ballast",
    "DataDirectory",
    "DatasetRecord",
    "ErasureRecord",
    "ErasureStore",
    "FactsStore",
    "FileKeys",
    "FileStore",
    "HistoryStore",
    "IdentityStore",
    "Item",
    "JobRecord",
    "JobStatus",
    "LivenessLock",
    "Looks",
    "MemoryCache",
    "MigrationStatus",
    "Original",
    "Page",
    "PartialUpload",
    "PieceWriter",
    "Readable",
    "ReportFacts",
    "ReportSummary",
    "ResultCache",
    "ResultDatabase",
    "ResultStore",
    "Reuse",
    "SealedStore",
    "Sealing",
    "Share",
    "ShareStore",
    "SharedCache",
    "SqliteStore",
    "StoredReport",
    "TenantFiles",
    "TenantRecord",
    "TenantRetention",
    "Writer",
    "check_room",
    "check_tenant_id",
    "is_disk_fault",
    "is_tenant_id",
    "unavailable",
    "usable_directory",
]
