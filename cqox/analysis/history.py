"""Listings, titles and notes of stored analyses.

Titles and notes are no part of a report, whose bytes and digest never change.
"""

import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict

from cqox import clock, randomness
from cqox.analysis.datasets import Datasets
from cqox.analysis.results import Results
from cqox.contract.messages import Message
from cqox.errors import NotFound, PreconditionFailed, StoreUnavailable
from cqox.storage import Annotation, Looks, Page, ReportSummary, ResultStore
from cqox.storage.rows import NOTES_CHARACTERS

__all__ = ["UNWRITTEN", "History", "listed", "no_analysis", "searchable"]

UNWRITTEN = "none"
"""Version of the annotation of a report that nobody has annotated."""

_NORMALISED = 500
"""Number of characters that are normalised at once."""


class History:
    """Stored analyses as people list, title and annotate them.

    Args:
        store: reports and their annotations.
        results: reports in store and caches.
        datasets: the data sets, whose names are searched too.
    """

    def __init__(self, *, store: ResultStore, results: Results, datasets: Datasets) -> None:
        self._store = store
        self._results = results
        self._datasets = datasets

    async def summaries(
        self, *, dataset_id: str | None, search: str | None, limit: int, before: str | None
    ) -> Page[ReportSummary]:
        """Return stored reports with their annotations, newest first.

        Args:
            dataset_id: only those of this data set.
            search: only those with this text in their title, their notes, or the name of their data set.
            limit: maximum number of reports.
            before: cursor of the previous page.
        """
        wanted = searchable(search or "")
        if not wanted:
            return await self._store.summaries(dataset_id=dataset_id, limit=limit, before=before)
        named = [each.dataset_id for each in await self._datasets.all() if wanted in searchable(each.name)]
        return await self._store.summaries(
            dataset_id=dataset_id, search=wanted, named=named, limit=limit, before=before
        )

    async def looks(self, dataset_id: str) -> Sequence[Looks]:
        """Return the number of stored reports on each outcome and treatment of a data set, most first.

        Raises:
            NotFound: there is no such data set, and no report on it.
        """
        found = await self._store.looks(dataset_id)
        if not found:
            await self._datasets.get(dataset_id)
        return sorted(found, key=lambda each: (-each.analyses, each.outcome or "", each.treatment or ""))

    async def annotation(self, key: str) -> Annotation:
        """Return title and notes of a report; both are None if nobody has annotated it.

        Raises:
            NotFound: there is no such report.
            StoreUnavailable: the store cannot be reached.
        """
        found = await self._store.annotation(key)
        if found is not None:
            return found
        if not await self._results.is_held(key):
            raise no_analysis(key)
        return Annotation(analysis_id=key, title=None, notes=None, updated_at="", version=UNWRITTEN, searched="")

    async def annotate(
        self, key: str, changes: Mapping[str, str | None], *, expected: Collection[str] | None = None
    ) -> Annotation:
        """Change title or notes of a report; return what they are now.

        Args:
            key: id of the report.
            changes: new `title` or `notes`; None removes one, and an absent one stays as it is.
            expected: versions of the annotation that may be changed; None for any.

        Raises:
            NotFound: there is no such report.
            PreconditionFailed: the annotation is of another version, and not yet what it would become.
            StoreUnavailable: the store cannot be reached, or has not accepted the report yet.
        """
        while True:
            current = await self.annotation(key)
            if all(getattr(current, name) == value for name, value in changes.items()):
                # Also where an earlier attempt made the change and its answer was lost (RFC 9110, section 13.1.1).
                return current
            if expected is not None and current.version not in expected:
                raise PreconditionFailed(Message("analysis.annotation-changed"), field="If-Match")
            new = _changed(current, changes)
            if await self._store.annotate(new, replaces=None if current.version == UNWRITTEN else current.version):
                return new
            if not await self._store.stored([key]):
                await self._refuse(key)

    async def _refuse(self, key: str) -> None:
        if await self._results.is_held(key):
            raise StoreUnavailable(Message("analysis.report-not-stored"))
        raise no_analysis(key)


def no_analysis(key: str) -> NotFound:
    """Return the error that there is no report with this id."""
    return NotFound(Message("analysis.no-analysis", analysis=key[:100]), field="analysis_id")


def listed(summaries: Sequence[ReportSummary]) -> dict[str, object]:
    """Return summaries as `analyses` of a listing, with the `messages` of their headlines."""
    rows: list[dict[str, object]] = []
    messages: dict[str, object] = {}
    for number, summary in enumerate(summaries):
        headline = {} if summary.headline is None else json.loads(summary.headline)
        if headline.get("message"):
            messages[f"/analyses/{number}/headline"] = headline["message"]
        rows.append(asdict(summary) | {"headline": headline.get("text"), "notes": _beginning(summary.notes)})
    return {"analyses": rows, "messages": messages}


def searchable(text: str) -> str:
    """Return text in the form that a search compares: without case, and without differences of width."""
    # The time of one normalisation can grow as the square of the length.
    pieces = (text[start : start + _NORMALISED] for start in range(0, len(text), _NORMALISED))
    return "".join(unicodedata.normalize("NFKC", piece) for piece in pieces).casefold().strip()


def _beginning(notes: str | None) -> str | None:
    return notes if notes is None or len(notes) <= NOTES_CHARACTERS else f"{notes[: NOTES_CHARACTERS - 1]}…"


def _changed(current: Annotation, changes: Mapping[str, str | None]) -> Annotation:
    title, notes = changes.get("title", current.title), changes.get("notes", current.notes)
    return Annotation(
        analysis_id=current.analysis_id,
        title=title,
        notes=notes,
        updated_at=clock.timestamp(),
        version=randomness.token_hex(8),
        searched=searchable(f"{title or ''}\n{notes or ''}"),
    )
