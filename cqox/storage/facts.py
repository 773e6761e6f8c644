"""Facts about stored reports: figures and names of a closed vocabulary, for dashboards; and their contract.

Facts are derived: they are written with their report, deleted with it by the database itself, and computed again from a
report that has none. They hold no level and no text of a report. The names of outcome and treatment are copies of the
report's columns, encrypted where those are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cqox.dashboards.views import ViewQuery, ViewRows
from cqox.storage.pages import Page

__all__ = ["FORMAT", "FactsStore", "Item", "ReportFacts", "Reuse"]

FORMAT = 1
"""Version of what facts hold; those of an earlier one are computed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One part of a report: an estimator, a gate, an assumption, a refuter, a role or a data finding.

    Attributes:
        kind: which of these.
        name: its name, or the code of a finding.
        part: family of an estimator, severity of a finding.
        detail: estimand of an estimator.
        status: as the report has it; see `cqox.dashboards.views.VIEWS`, as for the rest.
        reason: code of a message.
        about: a role.
        value: estimate, value of a gate, or mean of a refuter.
        standard_error: of an estimate; spread of a refuter.
        lower_end: of an interval.
        upper_end: of an interval.
        p_value: of an estimate or a refuter.
        threshold: of a gate.
        amount: rows, columns, replications, or 1 for an assumption that caps.
        seconds: time of an estimator.
    """

    kind: str
    name: str
    part: str | None = None
    detail: str | None = None
    status: str | None = None
    reason: str | None = None
    about: str | None = None
    value: float | None = None
    standard_error: float | None = None
    lower_end: float | None = None
    upper_end: float | None = None
    p_value: float | None = None
    threshold: float | None = None
    amount: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """Facts about one report; the columns of `dashboard_analyses` say what they mean.

    Attributes:
        analysis_id: id of the report.
        items: its parts.
    """

    analysis_id: str
    created_second: int
    status: str
    verdict: str | None = None
    primary_name: str | None = None
    family: str | None = None
    design: str | None = None
    assignment: str | None = None
    dataset_rows: int | None = None
    rows_used: int | None = None
    mapped_columns: int | None = None
    seconds: float | None = None
    estimate: float | None = None
    standard_error: float | None = None
    ci_lower: float | None = None
    ci_upper: float | None = None
    minimum_effect: float | None = None
    better: str | None = None
    position: str | None = None
    baseline: float | None = None
    relative: float | None = None
    replications: int | None = None
    lowest: float | None = None
    highest: float | None = None
    code_version: str | None = None
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """Answers of one report on one day that needed no computation.

    Attributes:
        analysis_id: id of the report.
        day_second: beginning of the day in UTC, seconds since the epoch.
        cached: answers from a cache or the store.
        shared: answers that shared a computation under way.
    """

    analysis_id: str
    day_second: int
    cached: int = 0
    shared: int = 0


class FactsStore(Protocol):
    """The part of a `ResultStore` that holds facts about its reports."""

    async def put_facts(self, facts: ReportFacts) -> bool:
        """Insert or replace the facts of a stored report; return False if the report is not stored."""
        ...

    async def without_facts(self, *, limit: int, before: str | None = None) -> Page[str]:
        """Return ids of reports that have no facts, or facts of an earlier format, newest first."""
        ...

    async def count_reuses(self, reuses: Sequence[Reuse]) -> None:
        """Add to the counts of stored reports; those of other reports are dropped. Each is named once in a call."""
        ...

    async def view_rows(self, query: ViewQuery, *, start: int, end: int, step: int = 1) -> ViewRows:
        """Answer a question to a view.

        Args:
            query: the question.
            start: first second of the span.
            end: the second after the last one.
            step: seconds of a step; the first step begins at a multiple of it.
        """
        ...
