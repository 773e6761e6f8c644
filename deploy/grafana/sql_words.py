"""Parts of the statements for Grafana: its macros for the time range, the tenant of the connection, and quoting."""

__all__ = ["LATEST", "SPAN", "STEP", "TENANT", "identifier", "literal", "newest"]

SPAN = ("$__unixEpochFrom()", "$__unixEpochTo()")
"""Beginning and end of the time range in seconds since the epoch."""

STEP = "greatest($__interval_ms / 1000, 60)"
"""Seconds of a step: those of Grafana, but no less than a minute."""

LATEST = f"({SPAN[1]} - 1)"
"""The last second of the time range."""

TENANT = "coalesce(nullif(current_setting('cqox.tenant', true), ''), 'default')"
"""The tenant of the connection, which the role sets; `default` where it sets none."""


def newest(most: int) -> str:
    """Return the second from which on the newest analyses of the time range are counted.

    Args:
        most: how many analyses.
    """
    return (
        f"greatest({SPAN[0]}, coalesce((SELECT created_second + 1 FROM dashboard_analyses WHERE tenant_id = {TENANT} "
        f"AND created_second >= {SPAN[0]} AND created_second < {SPAN[1]} "
        f"ORDER BY created_second DESC LIMIT 1 OFFSET {most}), 0))"
    )


def literal(text: str) -> str:
    """Return a text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(text: str) -> str:
    """Return a name of a column as SQL."""
    return '"' + text.replace('"', '""') + '"'
