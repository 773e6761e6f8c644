"""Insertion of a report with its facts: both or neither."""

from dataclasses import replace

import psycopg
import pytest

from cqox.storage.postgres.reports import insert_report
from cqox.storage.postgres.schema import migrate
from cqox.storage.tenant_ids import TenantKeys
from tests.servers import Postgres
from tests.storage.records import a_report, some_facts

pytestmark = pytest.mark.xdist_group("servers")


def test_a_report_whose_facts_cannot_be_stored_is_not_stored_either(postgres_server: Postgres) -> None:
    keys, report = TenantKeys("default"), a_report(1)
    with psycopg.connect(postgres_server.fresh(), autocommit=True) as connection:
        migrate(connection)
        with pytest.raises(psycopg.DataError):
            insert_report(connection, keys, report, "i", b"{}", replace(some_facts(1), family="\0"))
        assert connection.execute("SELECT count(*) FROM reports").fetchone() == (0,)
        assert insert_report(connection, keys, report, "i", b"{}", some_facts(1)) is True
        # The same call again, after its answer was lost; and another one.
        assert insert_report(connection, keys, report, "i", b"{}", some_facts(1)) is True
        assert insert_report(connection, keys, report, "j", b"{}", some_facts(1)) is False
        assert connection.execute("SELECT count(*) FROM analysis_facts").fetchone() == (1,)
