"""SQL of the panels about analyses, for Grafana's PostgreSQL source; a test holds them to the panels of our own page.

Statements read the views of the result store for the tenant in `cqox.tenant`, in the time range of the dashboard.
Reasons of skipped estimators are codes there, since their sentences are not in the database.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cqox.contract.messages import Message
from cqox.dashboards import PanelAnswer, Span
from cqox.dashboards.analyses import PANELS, Asked
from cqox.dashboards.analyses import words as vocabulary
from cqox.dashboards.views import ViewQuery, ViewRows
from cqox.storage.view_sql import asked as statement_of
from deploy.grafana import questions
from deploy.grafana.sql_words import LATEST, SPAN, STEP, TENANT, identifier, literal, newest

__all__ = ["Target", "target_of"]

_NAMED = re.compile(r"(?<!:):([a-z]\w*)")
_MOST_BARS = 30
_ENOUGH_REPLICATIONS = 39
_PIVOTS: Mapping[str, Mapping[str, Message]] = {
    "verdicts-by-design": vocabulary.VERDICTS,
    "assumptions": vocabulary.LEDGER,
    "gates": vocabulary.GATES,
    "estimators": vocabulary.ESTIMATES,
    "refuters": vocabulary.REFUTERS,
    "findings": vocabulary.FINDINGS,
    "roles": vocabulary.ROLES_AGAINST,
}
_ANY = Span(start=0.0, end=1.0, step=1.0)
_ABSENT = PanelAnswer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The question of one panel.

    Attributes:
        sql: one statement, with macros and variables of Grafana for the time range and the step.
        format: how Grafana takes the rows.
    """

    sql: str
    format: Literal["time_series", "table"]


def target_of(panel_id: str) -> Target:
    """Return the statement of a panel about analyses.

    Raises:
        KeyError: there is no such panel.
    """
    one = PANELS[panel_id]
    if panel_id in questions.STATEMENTS:
        sql = questions.STATEMENTS[panel_id](_statement(one.queries[0]))
    elif one.panel.kind == "timeseries":
        sql = _counts(one) if one.queries[0].columns else _figures(one)
    elif panel_id == "refuter-coverage":
        sql = _coverage(one)
    elif one.panel.kind == "bars":
        sql = _bars(one)
    elif panel_id == "go-share":
        counted = _statement(one.queries[0])
        sql = f"SELECT sum(number) FILTER (WHERE verdict = 'GO') / sum(number) AS value FROM ({counted}) asked"
    elif one.panel.kind == "stat":
        sql = _statement(one.queries[0])
    elif panel_id in _PIVOTS:
        sql = _pivot(one, _PIVOTS[panel_id])
    else:
        sql = _table(one)
    return Target(sql=sql, format="time_series" if one.panel.kind == "timeseries" else "table")


def _statement(query: ViewQuery) -> str:
    """Return the statement of a question with its parameters in place."""
    values = {
        "tenant": TENANT,
        "start": newest(query.most_analyses),
        "end": SPAN[1],
        "step": STEP,
        "most_rows": str(query.most_rows),
    }
    for number, (_, wanted) in enumerate(query.where):
        values |= {f"wanted_{number}_{place}": literal(word) for place, word in enumerate(wanted)}
    return _NAMED.sub(lambda found: values[found[1]], statement_of(query))


def _name(columns: Sequence[str]) -> str:
    """Return the expression of a name that is made of several columns, as our own page joins them."""
    return f"coalesce(nullif(concat_ws(' · ', {', '.join(columns)}), ''), '–')"


def _counts(one: Asked) -> str:
    # Without zeros between its points a stacked line would be drawn across the gaps.
    [query] = one.queries
    words = [
        line.name
        for line in (one.shape([ViewRows(rows=[(0.0, *[None] * len(query.columns), 0.0)])], _ANY) or _ABSENT).lines
    ]
    listed = ", ".join(f"({literal(word)})" for word in words if word != "–")
    known = f" UNION SELECT * FROM (VALUES {listed}) AS words (metric)" if listed else ""
    first = f"({newest(query.most_analyses)}) / {STEP} * {STEP}"
    return (
        f"WITH counted AS (SELECT step_second, {_name(query.columns)} AS metric, sum(number) AS number "
        f"FROM ({_statement(query)}) asked GROUP BY 1, 2), "
        f"metrics AS (SELECT metric FROM counted{known}), "
        f"steps AS (SELECT generate_series({first}, {LATEST}, {STEP}) AS step_second) "
        "SELECT step_second AS time, metric, coalesce(number, 0) AS value "
        "FROM steps CROSS JOIN metrics LEFT JOIN counted USING (step_second, metric) ORDER BY 1, 2"
    )


def _figures(one: Asked) -> str:
    [query] = one.queries
    shown = one.shape([ViewRows(rows=[(0.0, *[1.0] * len(query.measures))])], _ANY) or _ABSENT
    figures = [
        f"{measure.name} AS {identifier(line.name)}" for measure, line in zip(query.measures, shown.lines, strict=True)
    ]
    return f"SELECT step_second AS time, {', '.join(figures)} FROM ({_statement(query)}) asked ORDER BY 1"


def _bars(one: Asked) -> str:
    parts = [
        f"SELECT {_name(query.columns)} AS name, {query.measures[0].name} AS value "
        f"FROM ({_statement(query)}) asked{number}"
        for number, query in enumerate(one.queries)
    ]
    return (
        f"SELECT name, sum(value) AS value FROM ({' UNION ALL '.join(parts)}) bars "
        f"WHERE value IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_MOST_BARS}"
    )


def _coverage(one: Asked) -> str:
    shown = one.shape([ViewRows(rows=[(0.0, 0.0)])], _ANY) or _ABSENT
    none, few, enough = (literal(line.name) for line in shown.lines)
    return (
        f"SELECT name, coalesce(sum(number), 0) AS value FROM (VALUES (1, {none}), (2, {few}), (3, {enough})) "
        "AS names (place, name) LEFT JOIN (SELECT CASE WHEN coalesce(replications, 0) = 0 THEN 1 "
        f"WHEN replications < {_ENOUGH_REPLICATIONS} THEN 2 ELSE 3 END AS place, number "
        f"FROM ({_statement(one.queries[0])}) asked) counted USING (place) GROUP BY place, name ORDER BY place"
    )


def _pivot(one: Asked, words: Mapping[str, Message]) -> str:
    [query] = one.queries
    name, word = query.columns
    heading = (one.shape([ViewRows(rows=[("", "", 0.0)])], _ANY) or _ABSENT).columns or ()
    counts = [
        f"coalesce(sum(number) FILTER (WHERE {word} = {literal(each)}), 0) AS {identifier(title)}"
        for each, title in words.items()
    ]
    order = ", ".join(f"{place} DESC" for place in range(len(words) + 1, 1, -1))
    return (
        f"SELECT coalesce({name}, '–') AS {identifier(heading[0])}, {', '.join(counts)} "
        f"FROM ({_statement(query)}) asked GROUP BY 1 ORDER BY {order}, 1"
    )


def _table(one: Asked) -> str:
    [query] = one.queries
    columns = [*query.columns, *(each.name for each in query.measures)]
    headings = (one.shape([ViewRows(rows=[(*[0.0] * len(columns),)])], _ANY) or _ABSENT).columns or ()
    # A reason is one sentence of code and role on our own page.
    if "role" in columns and "reason" in columns:
        columns.remove("role")
    shown = [f"{_cell(column)} AS {identifier(heading)}" for column, heading in zip(columns, headings, strict=True)]
    return f"SELECT {', '.join(shown)} FROM ({_statement(query)}) asked"


def _cell(column: str) -> str:
    match column:
        case "created_second":
            return "to_timestamp(created_second)"
        case "analysis_id":
            return questions.REPORT
        case "dataset_id":
            return questions.plain("dataset_id")
        case "reason":
            return _name(("reason", "role"))
        case _:
            return column
