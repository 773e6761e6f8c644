"""Insertion of a report with its facts."""

import sqlite3
from contextlib import closing
from dataclasses import replace

from cqox.storage.sqlite_reports import insert_report
from cqox.storage.sqlite_schema import migrate
from cqox.storage.tenant_ids import TenantKeys
from tests.storage.records import a_report, some_facts


def test_facts_are_inserted_once_and_again_with_a_report_that_replaces_a_damaged_one() -> None:
    keys, report = TenantKeys("default"), a_report(1)
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection)
        assert insert_report(connection, keys, replace(report, digest="0" * 32), some_facts(1)) is True
        assert insert_report(connection, keys, report, some_facts(1, verdict="HOLD")) is True
        assert insert_report(connection, keys, report, some_facts(1)) is False
        assert connection.execute("SELECT verdict FROM analysis_facts").fetchall() == [("HOLD",)]
        assert insert_report(connection, keys, a_report(2), None) is True
        assert connection.execute("SELECT count(*) FROM analysis_facts").fetchone() == (1,)
