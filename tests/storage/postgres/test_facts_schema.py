"""Views of facts on a real server have the documented columns, and read with the rights of who asks."""

import psycopg
import pytest
from psycopg.sql import SQL

from cqox.dashboards.views import VIEWS
from cqox.storage.postgres.facts_schema import facts_script
from cqox.storage.postgres.schema import migrate
from tests.servers import Postgres

pytestmark = pytest.mark.xdist_group("servers")
_TYPES = {"text": "text", "integer": "bigint", "real": "double precision"}


def test_the_views_have_the_documented_columns_and_kinds(postgres_server: Postgres) -> None:
    with psycopg.connect(postgres_server.fresh(), autocommit=True) as connection:
        migrate(connection)
        for view, columns in VIEWS.items():
            found = connection.execute(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = current_schema() AND table_name = %s ORDER BY ordinal_position",
                (view,),
            ).fetchall()
            assert [name for name, _ in found] == list(columns)
            # A condition in a view is a 32-bit integer.
            kinds = {name: "bigint" if kind == "integer" else kind for name, kind in found}
            assert kinds == {name: _TYPES[column.kind] for name, column in columns.items()}
        options = connection.execute(
            "SELECT reloptions FROM pg_class WHERE relname = ANY(%s) AND relnamespace = current_schema()::regnamespace",
            (list(VIEWS),),
        ).fetchall()
        assert options == [(["security_invoker=true"],)] * len(VIEWS)


def test_the_script_can_be_repeated(postgres_server: Postgres) -> None:
    with psycopg.connect(postgres_server.fresh(), autocommit=True) as connection:
        migrate(connection)
        connection.execute(facts_script(SQL("SELECT 1;").format()))
