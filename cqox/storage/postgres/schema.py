"""Schema of the PostgreSQL store: ordered migrations, each in its own transaction, under an advisory lock.

The greatest number in `cqox_migrations` says what a release needs to know to use the database. It rises with the first
migrations, which every release knows, and with the last step (`row_security`). Those in between only add what the
previous release can ignore, so that it goes on working, and are recorded by negative numbers. They change nothing where
they are applied twice, as after the restore of a dump of the previous release into a newer database.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Composed, Identifier, Literal

from cqox.contract.messages import Message
from cqox.errors import StoreUnavailable
from cqox.storage.facts_schema import FACTS_TABLES
from cqox.storage.postgres.facts_schema import facts_script
from cqox.storage.schema import FINISHED, FINISHING, MigrationStatus

__all__ = ["MIGRATIONS", "TENANT_TABLES", "Migration", "locked", "migrate", "migration_status"]

_LOCK = int.from_bytes(b"cqox")
_KNOWN_TO_ALL = 5
"""Number of migrations that every release that may use the database knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One schema migration. A released migration never changes.

    Attributes:
        name: short description.
        script: SQL statements. After the first `_KNOWN_TO_ALL` migrations they only add something, and may be repeated.
    """

    name: str
    script: SQL | Composed


_FIRST_TENANT_TABLES: Mapping[str, str] = {
    "reports": "analysis_id",
    "datasets": "dataset_id",
    "jobs": "job_id",
    "turns": "key",
    "annotations": "analysis_id",
    "shares": "share_id",
}
"""Those that were there before tenants were."""

TENANT_TABLES: Mapping[str, str] = {
    **_FIRST_TENANT_TABLES,
    "audit": "entry_id",
    "erasures": "erasure_id",
    **FACTS_TABLES,
}
"""The tables whose rows belong to a tenant, with the column of their key."""


def _with_tenant(table: str, key: str) -> Composed:
    """Return the statement that adds the tenant to the rows of a table, and checks that their keys begin with it."""
    # Rows that are there have no tenant, and need no check.
    return SQL("""
        ALTER TABLE {table} ADD COLUMN IF NOT EXISTS tenant_id text COLLATE "C" NOT NULL DEFAULT 'default',
            DROP CONSTRAINT IF EXISTS {check},
            ADD CONSTRAINT {check} CHECK (CASE tenant_id WHEN 'default' THEN strpos({key}, '/') = 0
                ELSE starts_with({key}, tenant_id || '/') END) NOT VALID;
    """).format(table=Identifier(table), check=Identifier(f"{table}_key_of_tenant"), key=Identifier(key))


def _new_of_tenant(table: str, key: str) -> Composed:
    """Return the statements that check the keys of a new table, and put it behind the wall where that is there."""
    return SQL("""
        ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check},
            ADD CONSTRAINT {check} CHECK (CASE tenant_id WHEN 'default' THEN strpos({key}, '/') = 0
                ELSE starts_with({key}, tenant_id || '/') END) NOT VALID;
        DO $$ BEGIN
            IF EXISTS (SELECT 1 FROM cqox_migrations WHERE number = {finished}) THEN
                ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
                ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
                DROP POLICY IF EXISTS tenant ON {table};
                CREATE POLICY tenant ON {table} USING (tenant_id = current_setting('cqox.tenant', true))
                    WITH CHECK (tenant_id = current_setting('cqox.tenant', true));
            END IF;
        END $$;
    """).format(
        table=Identifier(table),
        check=Identifier(f"{table}_key_of_tenant"),
        key=Identifier(key),
        finished=Literal(FINISHED),
    )


# Text is collated by its bytes, as in SQLite, so that pages are the same in every store.
MIGRATIONS: Sequence[Migration] = (
    Migration(
        name="reports, data sets and jobs",
        script=SQL("""
            CREATE TABLE reports (
                analysis_id text COLLATE "C" PRIMARY KEY,
                dataset_id text COLLATE "C" NOT NULL,
                created_at text COLLATE "C" NOT NULL,
                status text NOT NULL,
                verdict text,
                "primary" text,
                estimate double precision,
                report bytea NOT NULL,
                provenance bytea NOT NULL,
                figures bytea NOT NULL,
                digest text NOT NULL,
                document jsonb,
                insertion text NOT NULL
            );
            COMMENT ON COLUMN reports.report IS 'the report as it is answered; its digest is of these bytes';
            COMMENT ON COLUMN reports.document IS 'the same as JSON, to query by; NULL where JSONB cannot hold it';
            COMMENT ON COLUMN reports.insertion IS 'names the call that inserted the row';
            CREATE INDEX reports_by_time ON reports (created_at, analysis_id);
            CREATE INDEX reports_by_dataset ON reports (dataset_id, created_at, analysis_id);
            CREATE TABLE datasets (
                dataset_id text COLLATE "C" PRIMARY KEY,
                digest text NOT NULL,
                name text NOT NULL,
                rows bigint NOT NULL,
                columns bigint NOT NULL,
                size_bytes bigint NOT NULL,
                created_at text COLLATE "C" NOT NULL,
                sample boolean NOT NULL,
                description bytea NOT NULL
            );
            CREATE TABLE jobs (
                job_id text COLLATE "C" PRIMARY KEY,
                dataset_id text COLLATE "C" NOT NULL,
                status text NOT NULL,
                created_at text COLLATE "C" NOT NULL,
                finished_at text,
                analysis_id text,
                problem bytea,
                owner text NOT NULL,
                renewed_until timestamptz NOT NULL
            );
            CREATE INDEX jobs_running ON jobs (owner) WHERE status = 'running';
        """),
    ),
    Migration(
        name="jobs by when they ended",
        script=SQL("""
            ALTER TABLE jobs ALTER COLUMN finished_at TYPE text COLLATE "C";
            CREATE INDEX jobs_ended ON jobs (coalesce(finished_at, created_at), job_id) WHERE status <> 'running';
        """),
    ),
    Migration(
        name="estimates, to query by",
        script=SQL("""
            CREATE VIEW estimates AS
            SELECT analysis_id, dataset_id, created_at,
                item->>'name' AS name,
                item->>'family' AS family,
                item->>'estimand' AS estimand,
                item->>'status' AS status,
                (item->>'estimate')::double precision AS estimate,
                (item->>'standard_error')::double precision AS standard_error,
                (item->>'ci_lower')::double precision AS ci_lower,
                (item->>'ci_upper')::double precision AS ci_upper,
                (item->>'p_value')::double precision AS p_value,
                (item->>'n')::double precision AS n
            FROM reports, jsonb_array_elements(
                CASE WHEN jsonb_typeof(document->'estimates') = 'array' THEN document->'estimates' ELSE '[]' END
            ) AS item;
            COMMENT ON VIEW estimates IS 'every estimate of every report whose JSON the database can hold';
        """),
    ),
    Migration(
        name="turns to compute",
        # Leases have no value after a crash: in an unlogged table they need no flush.
        script=SQL("""
            CREATE UNLOGGED TABLE turns (
                key text COLLATE "C" PRIMARY KEY,
                token text NOT NULL,
                held_until timestamptz NOT NULL
            );
            COMMENT ON TABLE turns IS 'which engine computes what, for as long as it says so';
        """),
    ),
    Migration(name="jobs by when they began", script=SQL("CREATE INDEX jobs_by_time ON jobs (created_at, job_id)")),
    Migration(
        name="questions and annotations of reports",
        script=SQL("""
            ALTER TABLE reports ADD COLUMN IF NOT EXISTS outcome text COLLATE "C",
                ADD COLUMN IF NOT EXISTS treatment text COLLATE "C", ADD COLUMN IF NOT EXISTS headline text;
            COMMENT ON COLUMN reports.headline IS 'the answer in one sentence, for listings';
            CREATE TABLE IF NOT EXISTS annotations (
                analysis_id text COLLATE "C" PRIMARY KEY,
                dataset_id text COLLATE "C" NOT NULL,
                title text,
                notes text,
                updated_at text NOT NULL,
                version text NOT NULL,
                searched text NOT NULL
            );
            COMMENT ON TABLE annotations IS 'what people have written about reports, which never change themselves';
            CREATE INDEX IF NOT EXISTS annotations_by_dataset ON annotations (dataset_id);
        """),
    ),
    Migration(
        name="share links",
        script=SQL("""
            CREATE TABLE IF NOT EXISTS shares (
                share_id text COLLATE "C" PRIMARY KEY,
                analysis_id text COLLATE "C" NOT NULL,
                digest text COLLATE "C" NOT NULL,
                created_at text COLLATE "C" NOT NULL,
                expires_at text COLLATE "C" NOT NULL,
                dataset_id text COLLATE "C" NOT NULL
            );
            COMMENT ON COLUMN shares.digest IS 'SHA-256 of the token, which is not stored';
            CREATE UNIQUE INDEX IF NOT EXISTS shares_by_digest ON shares (digest);
            CREATE INDEX IF NOT EXISTS shares_by_analysis ON shares (analysis_id);
        """),
    ),
    Migration(
        name="reports by question",
        script=SQL("CREATE INDEX IF NOT EXISTS reports_by_question ON reports (dataset_id, outcome, treatment)"),
    ),
    Migration(
        name="tenants and API keys",
        script=SQL("""
            CREATE TABLE IF NOT EXISTS tenants (
                tenant_id text COLLATE "C" PRIMARY KEY,
                name text NOT NULL,
                created_at text NOT NULL,
                erased_at text
            );
            INSERT INTO tenants (tenant_id, name, created_at)
                VALUES ('default', 'default', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))
                ON CONFLICT DO NOTHING;
            CREATE TABLE IF NOT EXISTS api_keys (
                key_id text COLLATE "C" PRIMARY KEY,
                tenant_id text COLLATE "C" NOT NULL,
                digest bytea NOT NULL,
                name text NOT NULL,
                roles text NOT NULL,
                scopes text,
                created_at text COLLATE "C" NOT NULL,
                expires_at text,
                last_used_on text COLLATE "C",
                revoked_at text
            );
            COMMENT ON COLUMN api_keys.digest IS 'SHA-256 of the secret, which is not stored';
            COMMENT ON COLUMN api_keys.roles IS 'names of roles, a JSON array; scopes likewise, NULL for no limit';
            CREATE INDEX IF NOT EXISTS api_keys_by_tenant ON api_keys (tenant_id);
        """),
    ),
    Migration(
        name="tenants of rows",
        script=SQL("""
            {columns}
            COMMENT ON COLUMN reports.tenant_id IS 'whose row it is; its keys begin with <tenant>/, but for default';
            CREATE INDEX IF NOT EXISTS reports_of_tenant_by_time ON reports (tenant_id, created_at, analysis_id);
            CREATE INDEX IF NOT EXISTS reports_of_dataset ON reports (tenant_id, dataset_id, created_at, analysis_id);
            CREATE INDEX IF NOT EXISTS reports_of_question ON reports (tenant_id, dataset_id, outcome, treatment);
            CREATE INDEX IF NOT EXISTS jobs_of_tenant ON jobs (tenant_id, created_at, job_id);
        """).format(columns=SQL(" ").join(_with_tenant(table, key) for table, key in _FIRST_TENANT_TABLES.items())),
    ),
    Migration(
        name="audit log and erasures",
        script=SQL("""
            CREATE TABLE IF NOT EXISTS audit (
                entry_id text COLLATE "C" PRIMARY KEY,
                tenant_id text COLLATE "C" NOT NULL DEFAULT 'default',
                seq bigint NOT NULL,
                event_id text COLLATE "C" NOT NULL,
                at text COLLATE "C" NOT NULL,
                subject text COLLATE "C" NOT NULL,
                kind text NOT NULL,
                action text COLLATE "C" NOT NULL,
                object text COLLATE "C" NOT NULL,
                outcome text NOT NULL,
                request_id text NOT NULL,
                previous text NOT NULL,
                digest text NOT NULL
            );
            COMMENT ON TABLE audit IS 'who did what; entries are appended, and neither changed nor deleted';
            CREATE UNIQUE INDEX IF NOT EXISTS audit_of_tenant ON audit (tenant_id, seq);
            CREATE UNIQUE INDEX IF NOT EXISTS audit_by_event ON audit (tenant_id, event_id);
            CREATE OR REPLACE FUNCTION cqox_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'entries of the audit log are never changed'; END $$;
            DROP TRIGGER IF EXISTS audit_no_change ON audit;
            CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit
                FOR EACH ROW EXECUTE FUNCTION cqox_refuse_change();
            DROP TRIGGER IF EXISTS audit_no_truncation ON audit;
            CREATE TRIGGER audit_no_truncation BEFORE TRUNCATE ON audit
                FOR EACH STATEMENT EXECUTE FUNCTION cqox_refuse_change();
            CREATE TABLE IF NOT EXISTS erasures (
                erasure_id text COLLATE "C" PRIMARY KEY,
                tenant_id text COLLATE "C" NOT NULL DEFAULT 'default',
                what text NOT NULL,
                object_id text COLLATE "C" NOT NULL,
                requested_by text NOT NULL,
                requested_at text COLLATE "C" NOT NULL,
                finished_at text COLLATE "C",
                receipt bytea NOT NULL
            );
            COMMENT ON COLUMN erasures.receipt IS 'what was deleted so far, JSON';
            {walls}
        """).format(
            walls=SQL(" ").join([_new_of_tenant("audit", "entry_id"), _new_of_tenant("erasures", "erasure_id")])
        ),
    ),
    Migration(
        name="owners of data sets and retention of tenants",
        script=SQL("""
            ALTER TABLE datasets ADD COLUMN IF NOT EXISTS owner text COLLATE "C";
            COMMENT ON COLUMN datasets.owner IS 'the subject that registered it; NULL where nobody was known';
            ALTER TABLE tenants ADD COLUMN IF NOT EXISTS keep_reports_days double precision,
                ADD COLUMN IF NOT EXISTS keep_datasets_days double precision,
                ADD COLUMN IF NOT EXISTS keep_jobs_days double precision;
        """),
    ),
    Migration(
        name="facts about reports",
        script=facts_script(SQL(" ").join(_new_of_tenant(table, key) for table, key in FACTS_TABLES.items())),
    ),
)


def migrate(connection: psycopg.Connection[TupleRow]) -> int:
    """Apply the pending schema migrations; return their number. Safe to call concurrently.

    Args:
        connection: in autocommit mode.

    Raises:
        StoreUnavailable: the schema is newer than this code.
    """
    done = 0
    while _applied(connection) < len(MIGRATIONS):
        with locked(connection):
            connection.execute(
                "CREATE TABLE IF NOT EXISTS cqox_migrations (number integer PRIMARY KEY, name text NOT NULL, "
                "applied_at timestamptz NOT NULL DEFAULT now())"
            )
            # Another process may have migrated while this one waited for the lock.
            number = _applied(connection)
            if number < len(MIGRATIONS):
                step = MIGRATIONS[number]
                connection.execute(step.script)
                recorded = number + 1 if number < _KNOWN_TO_ALL else -(number + 1)
                connection.execute("INSERT INTO cqox_migrations (number, name) VALUES (%s, %s)", (recorded, step.name))
                done += 1
    return done


@contextmanager
def locked(connection: psycopg.Connection[TupleRow]) -> Iterator[None]:
    """Hold the lock of the schema in a transaction."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        yield


def migration_status(connection: psycopg.Connection[TupleRow]) -> Sequence[MigrationStatus]:
    """Return every migration that this code knows, and when it was applied."""
    times = {number: at.isoformat(timespec="seconds") for number, at in _recorded(connection).items()}
    steps = [
        MigrationStatus(number=number, name=step.name, applied_at=times.get(number))
        for number, step in enumerate(MIGRATIONS, start=1)
    ]
    return [*steps, MigrationStatus(number=FINISHED, name=FINISHING, applied_at=times.get(FINISHED), finishes=True)]


def _applied(connection: psycopg.Connection[TupleRow]) -> int:
    """Return the number of migrations that were applied, in order."""
    done, number = _recorded(connection), 0
    while number + 1 in done:
        number += 1
    return number


def _recorded(connection: psycopg.Connection[TupleRow]) -> dict[int, datetime]:
    """Return when each step was applied, by its number; steps of a newer release that only add something included."""
    row = connection.execute("SELECT to_regclass('cqox_migrations') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return {}
    rows = connection.execute("SELECT number, applied_at FROM cqox_migrations").fetchall()
    newest, known = max((int(number) for number, _ in rows), default=0), len(MIGRATIONS)
    if newest > known and newest != FINISHED:
        raise StoreUnavailable(Message("storage.database-of-newer-version", found=newest, known=known))
    return {abs(number): applied_at for number, applied_at in rows}
