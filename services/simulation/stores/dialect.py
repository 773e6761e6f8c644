"""The statements of the PostgreSQL store in the dialect of SQLite.

Only what these statements use is known. The suites of the contract run on the translated statements too, so that one
which cannot be translated fails there.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import psycopg

__all__ = ["is_void", "is_write", "translated", "values_of"]

_VOID = re.compile(
    r"ALTER TABLE \S+ ENABLE ROW LEVEL SECURITY|DROP POLICY|DROP INDEX IF EXISTS reports_by_time|ALTER VIEW estimates"
)
"""Row level security, and what an earlier release needs: SQLite has no roles, and no earlier release is simulated."""

_WRITE = re.compile(r"(?:/\*.*?\*/ )?(?:INSERT|UPDATE|DELETE|CREATE|ALTER)\b")

_CHANGES: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"%\((\w+)\)s", r":\1"),
        (r"= ANY\(%s\)", "IN (SELECT value FROM json_each(?))"),
        (r"make_interval\(secs => %s\)", "?"),
        (r"%s::jsonb", "?"),
        (r"%s", "?"),
        (r"''::bytea", "x''"),
        (r"\bstrpos\(", "instr("),
        (r" FOR KEY SHARE\b", ""),
        (r" DESC OFFSET ", " DESC LIMIT -1 OFFSET "),
        (r"to_regclass\('(\w+)'\) IS NOT NULL", r"EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '\1')"),
        (r"to_char\(now\(\) AT TIME ZONE 'UTC', '[^']*'\)", "utc_text()"),
        (r"DEFAULT now\(\)", "DEFAULT (now())"),
        (
            r"SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user",
            "SELECT 'cqox', 0, 0",
        ),
        # In statements of the SQLite schema.
        (r"strftime\('[^']*', 'now'\)", "utc_text()"),
    )
)


@lru_cache(maxsize=512)
def translated(statement: str) -> str:
    """Return a statement of PostgreSQL as one of SQLite."""
    for pattern, replacement in _CHANGES:
        statement = pattern.sub(replacement, statement)
    return statement


@lru_cache(maxsize=512)
def is_void(statement: str) -> bool:
    """Return whether a statement has nothing to do in the simulation."""
    return _VOID.match(statement.strip()) is not None


@lru_cache(maxsize=512)
def is_write(statement: str) -> bool:
    """Return whether a statement needs the disk."""
    return _WRITE.match(statement.strip()) is not None


def values_of(
    statement: str, values: Sequence[object] | Mapping[str, object]
) -> tuple[object, ...] | dict[str, object]:
    """Return the values of a statement of PostgreSQL as those of its translation.

    Raises:
        psycopg.DataError: PostgreSQL cannot store one.
    """
    given = values.values() if isinstance(values, Mapping) else values
    for value in given:
        if isinstance(value, str) and "\0" in value:
            raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    if "::jsonb" in statement:
        _check_documents(statement, tuple(given))
    if isinstance(values, Mapping):
        return {name: _value(value) for name, value in values.items()}
    return tuple(_value(value) for value in values)


def _value(value: object) -> object:
    return json.dumps(value) if isinstance(value, list) else value


def _check_documents(statement: str, values: Sequence[object]) -> None:
    for place, value in zip(re.findall(r"%s(?:::jsonb)?", statement), values, strict=True):
        if place == "%s" or not isinstance(value, str):
            continue
        try:
            json.loads(value, parse_constant=_refuse)
        except ValueError as error:
            raise psycopg.errors.InvalidTextRepresentation("invalid input syntax for type json") from error
        if "\\u0000" in value:
            raise psycopg.errors.UntranslatableCharacter("unsupported Unicode escape sequence")


def _refuse(constant: str) -> None:
    raise ValueError(constant)
