"""Statements about questions: the same outcome and treatment of one data set.

Where outcome and treatment are encrypted, two equal names are two texts here: these tables then count each analysis as
a question of its own.
"""

from collections.abc import Callable, Mapping, Sequence

from cqox.contract.messages import Message
from deploy.grafana.sql_words import LATEST, identifier

__all__ = ["REPORT", "STATEMENTS", "plain"]

_HEADINGS: Mapping[str, Message] = {
    "analyses": Message("studies.column-analyses"),
    "baseline": Message("studies.column-baseline"),
    "baseline_before": Message("studies.column-baseline-before"),
    "change": Message("studies.column-change"),
    "ci_lower": Message("studies.column-lower"),
    "ci_upper": Message("studies.column-upper"),
    "data_set": Message("studies.column-data-set"),
    "data_set_before": Message("studies.column-data-set-before"),
    "days": Message("studies.column-days"),
    "estimate": Message("studies.column-estimate"),
    "minimum_effect": Message("studies.column-minimum"),
    "outcome": Message("studies.column-outcome"),
    "primary_name": Message("studies.column-primary"),
    "report": Message("studies.column-report"),
    "since": Message("studies.column-since"),
    "treatment": Message("studies.column-treatment"),
    "verdict": Message("studies.column-verdict"),
    "verdicts": Message("studies.column-verdicts"),
}
_QUESTION = "dataset_id, outcome, treatment"


def plain(column: str) -> str:
    """Return the expression of an id without its tenant, as pages and reports have it."""
    return f"regexp_replace({column}, '^.*/', '')"


REPORT = f"'/a/' || {plain('analysis_id')}"
"""The path of a report on the page."""

_DATA_SET = f"coalesce(nullif(dataset_name, ''), {plain('dataset_id')})"
_WAITING = "place = 1 AND verdict IN ('CANARY', 'HOLD') AND annotated = 0"
"""The newest analysis of a question says no GO, and nobody has written about it."""


def _shown(*columns: str) -> str:
    return ", ".join(f"{column} AS {identifier(_HEADINGS[column])}" for column in columns)


def _studies(asked: str) -> str:
    return (
        f"studies AS (SELECT *, {_DATA_SET} AS data_set, {REPORT} AS report, row_number() OVER "
        f"(PARTITION BY {_QUESTION} ORDER BY created_second DESC, analysis_id) AS place FROM ({asked}) asked)"
    )


def _looks(asked: str) -> str:
    return (
        f"WITH {_studies(asked)}, counted AS (SELECT {_QUESTION}, verdict, count(*) AS number FROM studies "
        f"GROUP BY {_QUESTION}, verdict), summed AS (SELECT {_QUESTION}, sum(number) AS analyses, "
        f"string_agg(verdict || ' ' || number, ', ' ORDER BY verdict) AS verdicts FROM counted GROUP BY {_QUESTION}) "
        f"SELECT {_shown('data_set', 'outcome', 'treatment', 'analyses', 'verdicts', 'report')} FROM (SELECT data_set, "
        "studies.outcome, studies.treatment, analyses, verdicts, report FROM summed JOIN studies ON place = 1 "
        "AND studies.dataset_id = summed.dataset_id AND studies.outcome IS NOT DISTINCT FROM summed.outcome "
        "AND studies.treatment IS NOT DISTINCT FROM summed.treatment WHERE analyses > 1) shown ORDER BY 4 DESC, 1, 2, 3"
    )


def _waiting(asked: str) -> str:
    columns = ("since", "days", "verdict", "data_set", "outcome", "treatment", "primary_name", "report")
    return (
        f"WITH {_studies(asked)} SELECT {_shown(*columns)} FROM (SELECT *, to_timestamp(created_second) AS since, "
        f"round(greatest(0, {LATEST} - created_second) / 86400.0, 1) AS days FROM studies WHERE {_WAITING}) shown "
        "ORDER BY 1"
    )


def _waiting_count(asked: str) -> str:
    return f"WITH {_studies(asked)} SELECT count(*) FILTER (WHERE {_WAITING}) AS value FROM studies"


def _effects(asked: str) -> str:
    columns = (
        "data_set",
        "outcome",
        "treatment",
        "estimate",
        "ci_lower",
        "ci_upper",
        "minimum_effect",
        "verdict",
        "report",
    )
    return (
        f"WITH {_studies(asked)} SELECT {_shown(*columns)} FROM studies "
        "WHERE place = 1 AND estimate IS NOT NULL ORDER BY created_second DESC"
    )


def _baselines(asked: str) -> str:
    return (
        f"WITH {_studies(asked)}, baselines AS (SELECT DISTINCT ON (outcome, dataset_id) * FROM studies "
        "WHERE outcome IS NOT NULL AND baseline IS NOT NULL "
        "ORDER BY outcome, dataset_id, created_second DESC, analysis_id)"
    )


def _baseline(asked: str) -> str:
    return (
        f"{_baselines(asked)} SELECT created_second AS time, outcome AS metric, baseline AS value FROM baselines "
        "ORDER BY created_second, analysis_id"
    )


def _drift(asked: str) -> str:
    before = "OVER (PARTITION BY outcome ORDER BY created_second, analysis_id)"
    columns: Sequence[str] = (
        "outcome", "data_set_before", "data_set", "baseline_before", "baseline", "change", "report",
    )  # fmt: skip
    return (
        f"{_baselines(asked)} SELECT {_shown(*columns)} FROM (SELECT *, "
        "(baseline - baseline_before) / nullif(abs(baseline_before), 0) AS change FROM (SELECT *, "
        f"lag(data_set) {before} AS data_set_before, lag(baseline) {before} AS baseline_before FROM baselines) pairs "
        "WHERE baseline_before IS NOT NULL) shown ORDER BY abs(change) DESC NULLS LAST"
    )


STATEMENTS: Mapping[str, Callable[[str], str]] = {
    "looks": _looks,
    "waiting": _waiting,
    "waiting-count": _waiting_count,
    "effects": _effects,
    "baseline": _baseline,
    "baseline-drift": _drift,
}
"""Make the statement of a panel from that of its question, by the id of the panel."""
