"""Schema of the facts about reports: tables, triggers and views, for SQLite and PostgreSQL.

The database itself deletes facts with their report, so that no program can leave them behind, an earlier release
included. It also copies a name that is encrypted otherwise.
"""

from collections.abc import Sequence
from dataclasses import fields

from cqox.storage.facts import Item, ReportFacts
from cqox.storage.view_sql import create_views

__all__ = ["FACTS", "FACTS_TABLES", "ITEMS", "facts_tables", "sqlite_statements"]

FACTS = tuple(each.name for each in fields(ReportFacts) if each.name != "items")
"""Columns of `analysis_facts` that come from a `ReportFacts`, in their order."""

ITEMS = tuple(each.name for each in fields(Item))
"""Columns of `analysis_items` that come from an `Item`, in their order."""

FACTS_TABLES = {"analysis_facts": "analysis_id", "analysis_items": "analysis_id", "analysis_reuses": "analysis_id"}
"""The tables, with the column of their key that begins with the tenant."""

_INTEGERS = {"created_second", "dataset_rows", "rows_used", "mapped_columns", "replications", "amount"}
_REALS = {
    "seconds", "estimate", "standard_error", "ci_lower", "ci_upper", "minimum_effect", "baseline", "relative", "lowest",
    "highest", "value", "lower_end", "upper_end", "p_value", "threshold",
}  # fmt: skip


def facts_tables(*, text: str, key: str, integer: str, real: str, tenant: str, without: str) -> Sequence[str]:
    """Return the statements that create tables and indexes.

    Args:
        text: type of text.
        key: type of text that is not NULL.
        integer: type of a whole number.
        real: type of a number.
        tenant: definition of the column of the tenant.
        without: behind the columns of a table.
    """

    def typed(names: Sequence[str]) -> str:
        kinds = {**dict.fromkeys(_INTEGERS, integer), **dict.fromkeys(_REALS, real)}
        return ", ".join(f"{name} {kinds.get(name, text)}" for name in names)

    facts = typed([name for name in FACTS if name not in ("analysis_id", "created_second")])
    items = typed([name for name in ITEMS if name not in ("kind", "name")])
    return [
        f"CREATE TABLE IF NOT EXISTS analysis_facts (analysis_id {key} PRIMARY KEY, {tenant}, dataset_id {key}, "
        f"created_second {integer} NOT NULL, {facts}, outcome {text}, treatment {text}, format {integer} NOT NULL)"
        + without,
        "CREATE INDEX IF NOT EXISTS facts_by_time ON analysis_facts (tenant_id, created_second)",
        f"CREATE TABLE IF NOT EXISTS analysis_items (analysis_id {key}, {tenant}, place {integer} NOT NULL, "
        f"created_second {integer} NOT NULL, kind {key}, name {key}, {items}, PRIMARY KEY (analysis_id, place))"
        + without,
        "CREATE INDEX IF NOT EXISTS items_by_time ON analysis_items (tenant_id, kind, created_second, name, status)",
        f"CREATE TABLE IF NOT EXISTS analysis_reuses (analysis_id {key}, {tenant}, day_second {integer} NOT NULL, "
        f"cached {integer} NOT NULL, shared {integer} NOT NULL, batch {key}, PRIMARY KEY (analysis_id, day_second))"
        + without,
        "CREATE INDEX IF NOT EXISTS reuses_by_time ON analysis_reuses (tenant_id, day_second)",
    ]


def sqlite_statements(tenant: str) -> Sequence[str]:
    """Return the statements for SQLite.

    Args:
        tenant: definition of the column of the tenant.
    """
    those = "WHERE tenant_id = old.tenant_id AND analysis_id = old.analysis_id;"
    deleted = " ".join(f"DELETE FROM {table} {those}" for table in FACTS_TABLES)
    return [
        *facts_tables(
            text="TEXT", key="TEXT NOT NULL", integer="INTEGER", real="REAL", tenant=tenant, without=" WITHOUT ROWID"
        ),
        f"CREATE TRIGGER IF NOT EXISTS reports_forget_facts AFTER DELETE ON reports BEGIN {deleted} END",
        "CREATE TRIGGER IF NOT EXISTS reports_rename_facts AFTER UPDATE OF outcome, treatment ON reports BEGIN "
        "UPDATE analysis_facts SET outcome = new.outcome, treatment = new.treatment "
        "WHERE tenant_id = new.tenant_id AND analysis_id = new.analysis_id; END",
        *(statement.replace("CREATE VIEW ", "CREATE VIEW IF NOT EXISTS ", 1) for statement in create_views()),
    ]
