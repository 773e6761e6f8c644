"""Schema of the facts about reports in PostgreSQL; each statement may be repeated."""

from psycopg.sql import SQL, Composed

from cqox.dashboards.views import VIEWS
from cqox.storage.facts_schema import FACTS_TABLES, facts_tables
from cqox.storage.view_sql import create_views

__all__ = ["facts_script"]

_THOSE = "WHERE tenant_id = old.tenant_id AND analysis_id = old.analysis_id;"
_TRIGGERS = f"""
    CREATE OR REPLACE FUNCTION cqox_forget_facts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        {" ".join(f"DELETE FROM {table} {_THOSE}" for table in FACTS_TABLES)}
        RETURN NULL;
    END $$;
    DROP TRIGGER IF EXISTS reports_forget_facts ON reports;
    CREATE TRIGGER reports_forget_facts AFTER DELETE ON reports FOR EACH ROW EXECUTE FUNCTION cqox_forget_facts();
    CREATE OR REPLACE FUNCTION cqox_rename_facts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE analysis_facts SET outcome = new.outcome, treatment = new.treatment
            WHERE tenant_id = new.tenant_id AND analysis_id = new.analysis_id;
        RETURN NULL;
    END $$;
    DROP TRIGGER IF EXISTS reports_rename_facts ON reports;
    CREATE TRIGGER reports_rename_facts AFTER UPDATE OF outcome, treatment ON reports
        FOR EACH ROW EXECUTE FUNCTION cqox_rename_facts();
    COMMENT ON TABLE analysis_facts IS 'figures of each report, for dashboards; deleted with it';
"""
# Otherwise a view reads with the rights of its owner.
_INVOKER = """
    DO $$ BEGIN
        IF current_setting('server_version_num')::int >= 150000 THEN {changes} END IF;
    END $$;
"""


def facts_script(walls: Composed) -> Composed:
    """Return the script that creates tables, triggers and views.

    Args:
        walls: statements that check the keys of the tables, and put them behind the wall between tenants.
    """
    tables = facts_tables(
        text='text COLLATE "C"',
        key='text COLLATE "C" NOT NULL',
        integer="bigint",
        real="double precision",
        tenant="tenant_id text COLLATE \"C\" NOT NULL DEFAULT 'default'",
        without="",
    )
    views = [each.replace("CREATE VIEW ", "CREATE OR REPLACE VIEW ", 1) for each in create_views()]
    changes = " ".join(f"EXECUTE 'ALTER VIEW {name} SET (security_invoker = true)';" for name in VIEWS)
    # Where the step is repeated, a dump was restored, and facts that were left may be of reports that are gone.
    tables = [*tables, f"TRUNCATE {', '.join(FACTS_TABLES)}"]
    texts = [";\n".join(tables), _TRIGGERS, ";\n".join(views), _INVOKER.format(changes=changes)]
    first, triggers, shown, invoker = (SQL(each) for each in texts)
    return SQL("{};{}{}{};{}").format(first, triggers, walls, shown, invoker)
