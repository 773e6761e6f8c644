"""Answers to the panels of the dashboard of analyses, from the result store of one tenant."""

from dataclasses import replace

from cqox.contract.messages import LANGUAGES, Language, Message
from cqox.dashboards import Cell, Panel, PanelAnswer, Span
from cqox.dashboards.analyses import PANELS, answer_of
from cqox.storage import ResultStore
from cqox.threads import run_in_thread

__all__ = ["StudyPanels"]


class StudyPanels:
    """The panels of one tenant; a `PanelSource`.

    Args:
        store: its result store, whose deadlines and circuit hold for every question.
    """

    def __init__(self, store: ResultStore) -> None:
        self._store = store

    async def answer(self, panel: Panel, span: Span, *, language: Language = LANGUAGES[0]) -> PanelAnswer:
        """Answer a panel for a span.

        Args:
            panel: of the dashboard of analyses.
            span: the times.
            language: of the names of lines and of words in tables; headings, reason and notes are messages.

        Raises:
            KeyError: the panel is of another dashboard.
            StoreUnavailable: the store cannot be reached, or a name cannot be opened.
        """
        asked = PANELS[panel.id]
        # The last step begins at the end of the span, and what was computed since belongs to it.
        start, end, step = int(span.start), int(span.end + span.step), max(1, int(span.step))
        found = [await self._store.view_rows(query, start=start, end=end, step=step) for query in asked.queries]
        # Thousands of rows take some milliseconds, in which the event loop would serve nobody.
        answer = await run_in_thread(lambda: answer_of(asked, found, span))
        lines = [replace(line, name=_in(language, line.name)) for line in answer.lines]
        rows = None if answer.rows is None else [[_in(language, cell) for cell in row] for row in answer.rows]
        return replace(answer, lines=lines, rows=rows)


def _in[T: Cell](language: Language, value: T) -> T:
    return value.in_language(language) if isinstance(value, Message) else value  # type: ignore[return-value]
