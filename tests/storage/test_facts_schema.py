"""Tables, triggers and views of facts."""

import sqlite3
from contextlib import closing

from cqox.dashboards.views import VIEWS
from cqox.storage.facts_schema import FACTS, FACTS_TABLES, ITEMS, facts_tables, sqlite_statements
from cqox.storage.sqlite_schema import migrate


def test_each_table_has_the_columns_of_its_records_and_its_key_first() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection)
        columns = {
            table: [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")] for table in FACTS_TABLES
        }
    assert {table: names[0] for table, names in columns.items()} == FACTS_TABLES
    assert set(columns["analysis_facts"]) == {*FACTS, "tenant_id", "dataset_id", "outcome", "treatment", "format"}
    assert set(columns["analysis_items"]) == {*ITEMS, "analysis_id", "tenant_id", "created_second", "place"}


def test_the_views_have_the_documented_columns_in_their_order() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection)
        for view, columns in VIEWS.items():
            assert [name for _, name, *_ in connection.execute(f"PRAGMA table_info({view})")] == list(columns)


def test_statements_can_be_repeated() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection)
        for statement in sqlite_statements("tenant_id TEXT NOT NULL"):
            connection.execute(statement)


def test_no_column_is_left_without_its_type() -> None:
    tables = facts_tables(text="TEXT", key="KEY", integer="INT", real="REAL", tenant="tenant_id T", without="")
    facts, items = tables[0], tables[2]
    assert "verdict TEXT" in facts
    assert "dataset_rows INT" in facts
    assert "ci_lower REAL" in facts
    assert "threshold REAL" in items
