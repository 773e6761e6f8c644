"""Insertion of a report with its facts into the SQLite store."""

import sqlite3

from cqox.storage.contracts import StoredReport
from cqox.storage.facts import ReportFacts
from cqox.storage.rows import REPORT, loaded, row_of
from cqox.storage.sqlite_facts import insert_facts
from cqox.storage.sqlite_file import marks
from cqox.storage.tenant_ids import TenantKeys

__all__ = ["ONE_REPORT", "insert_report"]

ONE_REPORT = "reports INDEXED BY reports_of_tenant WHERE tenant_id = ? AND analysis_id = ?"
"""By the index: in the table, the tenant lies behind the body, whose damage must not look like an absence."""

_INSERT = f"INSERT INTO reports ({REPORT}, tenant_id) VALUES ({marks(15)}) ON CONFLICT DO NOTHING"


def insert_report(
    connection: sqlite3.Connection, keys: TenantKeys, report: StoredReport, facts: ReportFacts | None
) -> bool:
    """Insert a report with its facts unless an intact one with its id is stored; return whether this call did.

    Args:
        connection: in a transaction.
        keys: of the tenant.
        report: the report.
        facts: facts about the report; None to leave them for later.
    """
    values = (*row_of(keys.stored_record(report)), keys.tenant_id)
    identity = (keys.tenant_id, keys.stored(report.analysis_id))

    def written() -> bool:
        is_new = connection.execute(_INSERT, values).rowcount == 1
        if is_new and facts is not None:
            insert_facts(connection, keys, facts)
        return is_new

    if written():
        return True
    found = loaded(connection.execute(f"SELECT {REPORT} FROM {ONE_REPORT}", identity).fetchone(), keys)
    if found is None or found.is_intact:
        return False
    connection.execute(f"DELETE FROM {ONE_REPORT}", identity)
    return written()
