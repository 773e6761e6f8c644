"""SQL of views about analyses, for SQLite and PostgreSQL: the views themselves, and the questions to them.

A question is one statement that both understand, but for the form of its parameters. Names come from `VIEWS` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from cqox.dashboards.views import VIEWS, Column, Measure, ViewQuery
from cqox.storage.tenant_ids import TenantKeys

__all__ = ["CUTOFF", "asked", "create_views", "plain_rows", "values_of"]

type Dialect = Literal["sqlite", "postgres"]

CUTOFF = (
    "SELECT created_second FROM analysis_facts WHERE tenant_id = :tenant "
    "AND created_second >= :start AND created_second < :end ORDER BY created_second DESC LIMIT 1 OFFSET :most_analyses"
)
"""The second of the newest analysis of a span that a question is not about."""

_KINDS: Mapping[str, str] = {
    "dashboard_estimators": "estimator",
    "dashboard_gates": "gate",
    "dashboard_assumptions": "assumption",
    "dashboard_refuters": "refuter",
    "dashboard_roles": "role",
    "dashboard_findings": "finding",
}
_JOINED: Mapping[str, Mapping[str, str]] = {
    "dashboard_analyses": {
        "annotated": "CASE WHEN annotations.analysis_id IS NULL THEN 0 ELSE 1 END",
    },
    "dashboard_reuses": {
        "analysis_id": "reuses.analysis_id",
        "tenant_id": "reuses.tenant_id",
        "created_second": "reuses.day_second",
        "cached": "reuses.cached",
        "shared": "reuses.shared",
        "seconds_saved": "facts.seconds * (reuses.cached + reuses.shared)",
    },
}
_FROM: Mapping[str, str] = {
    "dashboard_analyses": (
        "analysis_facts AS facts "
        "LEFT JOIN annotations "
        "ON annotations.analysis_id = facts.analysis_id AND annotations.tenant_id = facts.tenant_id"
    ),
    "dashboard_reuses": (
        "analysis_reuses AS reuses JOIN analysis_facts AS facts "
        "ON facts.analysis_id = reuses.analysis_id AND facts.tenant_id = reuses.tenant_id"
    ),
}
_LOOKUPS: Mapping[str, str] = {
    "dataset_name": (
        "(SELECT name FROM datasets WHERE datasets.tenant_id = {view}.tenant_id "
        "AND datasets.dataset_id = {view}.dataset_id) AS dataset_name"
    )
}
_FIGURES = {
    "count": "count(*)",
    "sum": "CAST(sum({column}) AS double precision)",
    "mean": "CAST(avg({column}) AS double precision)",
    "lowest": "min({column})",
    "highest": "max({column})",
}


def create_views() -> Sequence[str]:
    """Return the statements that create the views, each once; SQLite and PostgreSQL take them as they are."""
    return [_create(name, columns) for name, columns in VIEWS.items()]


def _create(name: str, columns: Mapping[str, Column]) -> str:
    kind = _KINDS.get(name)
    if kind is not None:
        listed = ", ".join(f"{column.source} AS {title}" for title, column in columns.items())
        return f"CREATE VIEW {name} AS SELECT {listed} FROM analysis_items WHERE kind = '{kind}'"
    joined = _JOINED[name]
    listed = ", ".join(
        f"{joined.get(column.source, f'facts.{column.source}')} AS {title}" for title, column in columns.items()
    )
    return f"CREATE VIEW {name} AS SELECT {listed} FROM {_FROM[name]}"


def asked(query: ViewQuery) -> str:
    """Return the statement of a question, with parameters as `:name`."""
    step = ["(created_second / :step) * :step AS step_second"] if query.each_step else []
    grouped = [*step, *query.columns]
    shown = [_LOOKUPS[name].format(view=query.view) if name in _LOOKUPS else name for name in grouped]
    text = f"SELECT {', '.join([*shown, *map(_figure, query.measures)])} FROM {query.view} WHERE tenant_id = :tenant "
    text += "AND created_second >= :start AND created_second < :end"
    for number, (name, wanted) in enumerate(query.where):
        marks = ", ".join(f":wanted_{number}_{each}" for each in range(len(wanted)))
        text += f" AND {name} IN ({marks})" if wanted else f" AND {name} IS NOT NULL"
    if query.measures and grouped:
        text += f" GROUP BY {', '.join(str(number) for number in range(1, len(grouped) + 1))}"
    order = [*(["step_second"] if step else []), *query.order]
    # Absent values come last in both.
    ordered = [f"{name.removeprefix('-')} {'DESC' if name.startswith('-') else 'ASC'} NULLS LAST" for name in order]
    if ordered:
        text += f" ORDER BY {', '.join(ordered)}"
    return f"{text} LIMIT :most_rows"


def _figure(measure: Measure) -> str:
    return f"{_FIGURES[measure.how].format(column=measure.column)} AS {measure.name}"


def values_of(query: ViewQuery, keys: TenantKeys, *, start: int, end: int, step: int) -> dict[str, str | int]:
    """Return the parameters of a question."""
    values: dict[str, str | int] = {
        "tenant": keys.tenant_id,
        "start": start,
        "end": end,
        "most_rows": query.most_rows + 1,
    }
    if query.each_step:
        values["step"] = step
    for number, (_, wanted) in enumerate(query.where):
        values |= {f"wanted_{number}_{each}": value for each, value in enumerate(wanted)}
    return values


def plain_rows(
    query: ViewQuery, rows: Sequence[Sequence[object]], keys: TenantKeys
) -> Sequence[tuple[str | float | None, ...]]:
    """Return rows with each id without its tenant."""
    first = 1 if query.each_step else 0
    ids = {first + number for number, name in enumerate(query.columns) if name in ("analysis_id", "dataset_id")}
    return [
        tuple(
            keys.plain(str(value)) if number in ids and value is not None else _value(value)
            for number, value in enumerate(row)
        )
        for row in rows[: query.most_rows]
    ]


def _value(value: object) -> str | float | None:
    assert value is None or isinstance(value, str | int | float)
    return value
