"""Statements that CQOx 0.2.0 sends, which must go on working until a store has several tenants."""

from collections.abc import Sequence

__all__ = ["KNOWN_STEPS", "statements"]

KNOWN_STEPS = {"sqlite": 4, "postgres": 5}
"""Number of steps of the schema that the release knows; it refuses a store with more."""

_REPORT = (
    'analysis_id, dataset_id, created_at, status, verdict, "primary", estimate, report, provenance, figures, digest'
)


def statements(backend: str) -> Sequence[tuple[str, int | None]]:
    """Return statements in the order of their use, each with the number of rows that it returns; None for a change."""
    is_postgres = backend == "postgres"
    blob, now = ("'\\x7b7d'", "clock_timestamp()") if is_postgres else ("x'7b7d'", "1e12")
    false, more, values = ("false", ", document, insertion", ", NULL, 'i'") if is_postgres else ("0", "", "")
    report = (
        f"INSERT INTO reports ({_REPORT}{more}) VALUES ('a', 'd', '2026', 'ok', NULL, NULL, 1.0, {blob}, {blob}, "
        f"{blob}, '00'{values}) ON CONFLICT DO NOTHING"
    )
    dataset = (
        "INSERT INTO datasets (dataset_id, digest, name, rows, columns, size_bytes, created_at, sample, description) "
        f"VALUES ('d', 'd', 'd.csv', 3, 2, 20, '2026', {false}, {blob}) ON CONFLICT (dataset_id) DO UPDATE SET "
        "name = excluded.name"
    )
    job = (
        "INSERT INTO jobs (job_id, dataset_id, status, created_at, finished_at, analysis_id, problem, owner, "
        f"renewed_until) VALUES ('j', 'd', 'running', '2026', NULL, NULL, NULL, 'one', {now}) ON CONFLICT (job_id) "
        "DO UPDATE SET status = excluded.status, owner = excluded.owner, renewed_until = excluded.renewed_until "
        "WHERE jobs.status IN ('running', 'interrupted')"
    )
    turn = (
        f"INSERT INTO turns (key, token, held_until) VALUES ('k', 't', {now}) ON CONFLICT (key) DO UPDATE SET "
        "token = excluded.token, held_until = excluded.held_until WHERE turns.token = excluded.token"
    )
    return [
        *((each, None) for each in (report, report, dataset, dataset, job, job, turn, turn)),
        (f"SELECT {_REPORT} FROM reports WHERE analysis_id = 'a'", 1),
        ("SELECT analysis_id FROM reports WHERE 1 = 1 ORDER BY created_at DESC, analysis_id DESC LIMIT 9", 1),
        ("SELECT dataset_id FROM datasets ORDER BY sample DESC, created_at DESC, dataset_id", 1),
        ("SELECT job_id FROM jobs WHERE status = 'running' AND owner = 'one'", 1),
        ("UPDATE jobs SET status = 'interrupted', finished_at = '2026' WHERE owner = 'one'", None),
        ("DELETE FROM turns WHERE key = 'k' AND token = 't'", None),
        ("SELECT key FROM turns", 0),
    ]
