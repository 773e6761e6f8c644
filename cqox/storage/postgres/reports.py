"""Insertion of a report with its facts into the PostgreSQL store."""

from contextlib import nullcontext
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from cqox.storage.contracts import StoredReport
from cqox.storage.facts import ReportFacts
from cqox.storage.postgres.facts import insert_facts
from cqox.storage.rows import REPORT, loaded, row_of
from cqox.storage.tenant_ids import TenantKeys

__all__ = ["LOAD", "insert_report"]

LOAD: LiteralString = f"SELECT {REPORT} FROM reports WHERE tenant_id = %s AND analysis_id = %s"
"""Loads a report by its tenant and id."""

_REPORT_MARKS = ", ".join(["%s"] * 14)


def insert_report(
    connection: psycopg.Connection[TupleRow],
    keys: TenantKeys,
    report: StoredReport,
    insertion: str,
    document: bytes | None,
    facts: ReportFacts | None,
) -> bool:
    """Insert a report with its facts unless an intact one with its id is stored.

    Args:
        connection: in autocommit mode.
        keys: of the tenant.
        report: the report.
        insertion: id of this call, by which a retry after a lost answer recognises its own insert.
        document: JSON to query by.
        facts: facts about the report; None to leave them for later.

    Returns:
        Whether this call inserted it.

    Raises:
        psycopg.DataError: JSONB cannot hold the document.
    """
    statement: LiteralString = (
        f"INSERT INTO reports ({REPORT}, document, insertion, tenant_id) VALUES "
        f"({_REPORT_MARKS}, %s::jsonb, %s, %s) ON CONFLICT DO NOTHING"
    )
    values = (*row_of(keys.stored_record(report)), _text(document), insertion, keys.tenant_id)
    identity = (keys.tenant_id, keys.stored(report.analysis_id))

    def written() -> bool:
        is_new = connection.execute(statement, values).rowcount == 1
        if is_new and facts is not None:
            insert_facts(connection, keys, facts)
        return is_new

    # Without facts one statement: it is sent at once, and needs no transaction of its own.
    with nullcontext() if facts is None else connection.transaction():
        if written():
            return True
    if connection.execute(
        "SELECT 1 FROM reports WHERE tenant_id = %s AND analysis_id = %s AND insertion = %s", (*identity, insertion)
    ).fetchone():
        return True
    found = loaded(connection.execute(LOAD, identity, binary=True).fetchone(), keys)
    if found is None or found.is_intact:
        return False
    with connection.transaction():
        connection.execute("DELETE FROM reports WHERE tenant_id = %s AND analysis_id = %s", identity)
        return written()


def _text(document: bytes | None) -> str | None:
    try:
        return None if document is None else document.decode()
    except UnicodeDecodeError:
        return None
