"""Facts in SQLite: plans that stay cheap with many analyses."""

import sqlite3
from contextlib import closing

from cqox.dashboards.views import Measure, ViewQuery
from cqox.storage.sqlite_facts import insert_facts
from cqox.storage.sqlite_schema import migrate
from cqox.storage.tenant_ids import TenantKeys
from cqox.storage.view_sql import CUTOFF, asked
from tests.storage.records import some_facts

_VALUES = {"tenant": "default", "start": 0, "end": 9, "most_rows": 9, "most_analyses": 9, "wanted_0_0": "fail"}


def test_facts_of_a_report_that_is_not_stored_are_not_inserted() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection)
        assert insert_facts(connection, TenantKeys("acme"), some_facts(1)) is False
        assert connection.execute("SELECT count(*) FROM analysis_items").fetchone() == (0,)


def test_questions_search_an_index_by_tenant_and_time() -> None:
    gates = ViewQuery(
        view="dashboard_gates",
        columns=("name",),
        measures=(Measure(name="number", how="count"),),
        where=(("status", ("fail",)),),
    )
    rows = ViewQuery(view="dashboard_analyses", columns=("analysis_id", "verdict"))
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection)
        for statement, index in (
            (CUTOFF, "COVERING INDEX facts_by_time (tenant_id=? AND created_second>? AND created_second<?)"),
            (asked(gates), "COVERING INDEX items_by_time (tenant_id=? AND kind=? AND created_second>?"),
            (asked(rows), "INDEX facts_by_time (tenant_id=? AND created_second>? AND created_second<?)"),
        ):
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", _VALUES).fetchall()
            assert index in " ".join(str(row[3]) for row in plan), statement
