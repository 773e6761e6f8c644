"""Contracts of the history of analyses: annotations of stored reports, and listings with what people look for.

An annotation is outside its report, whose bytes and digest never change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cqox.storage.pages import Page

__all__ = ["Annotation", "HistoryStore", "Looks", "ReportSummary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Title and notes that people have given a report.

    Attributes:
        analysis_id: id of the report.
        title: one line; None without one.
        notes: text; None without any.
        updated_at: when it was last changed, ISO 8601 in UTC.
        version: random, another one after each change.
        searched: title and notes in the form that a search compares.
    """

    analysis_id: str
    title: str | None
    notes: str | None
    updated_at: str
    version: str
    searched: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSummary:
    """A stored report in a listing.

    Attributes:
        analysis_id: id of the report.
        dataset_id: the data set that was analysed.
        created_at: when it was computed, ISO 8601 in UTC.
        status: `ok`, `warning` or `failed`.
        verdict: verdict of the decision.
        primary: name of the primary estimate.
        estimate: the primary estimate.
        outcome: column of the outcome; None in reports of earlier versions.
        treatment: column of the treatment; None also where the design defines it.
        headline: the answer in one sentence, as `StoredReport` has it.
        dataset_name: name of the data set; None if it is deleted.
        title: title of its annotation.
        notes: beginning of the notes of its annotation.
    """

    analysis_id: str
    dataset_id: str
    created_at: str
    status: str
    verdict: str | None
    primary: str | None
    estimate: float | None
    outcome: str | None
    treatment: str | None
    headline: str | None
    dataset_name: str | None
    title: str | None
    notes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """The stored reports on one question to a data set.

    Attributes:
        outcome: column of the outcome; None in reports of earlier versions.
        treatment: column of the treatment; None also where the design defines it.
        analyses: number of reports.
    """

    outcome: str | None
    treatment: str | None
    analyses: int


class HistoryStore(Protocol):
    """The part of a `ResultStore` that holds annotations and lists reports with them."""

    async def annotation(self, analysis_id: str) -> Annotation | None:
        """Return the annotation of this report, or None."""
        ...

    async def annotate(self, annotation: Annotation, *, replaces: str | None) -> bool:
        """Insert or replace the annotation of a stored report; return whether the report has it now.

        Args:
            annotation: the new one, with a version of its own.
            replaces: version of the annotation that it replaces; None for the first one.

        Returns:
            False if the stored annotation is of another version, or if the report is not stored.
        """
        ...

    async def forget_history(self, dataset_id: str) -> None:
        """Delete annotations and share links of all reports on a data set, also of reports that a damage has lost."""
        ...

    async def summaries(
        self,
        *,
        dataset_id: str | None = None,
        search: str | None = None,
        named: Sequence[str] = (),
        limit: int = 50,
        before: str | None = None,
    ) -> Page[ReportSummary]:
        """Return reports with their annotations, newest first.

        Args:
            dataset_id: only those of this data set.
            search: only those whose annotation contains this text, in the form that a search compares, or whose data
                set is `named`.
            named: ids of the data sets that the search has found by their names.
            limit: maximum number of reports.
            before: cursor of the previous page.
        """
        ...

    async def looks(self, dataset_id: str) -> Sequence[Looks]:
        """Return the number of stored reports on each outcome and treatment of a data set, in any order."""
        ...
