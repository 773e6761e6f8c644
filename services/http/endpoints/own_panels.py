"""Panels from the memory of this process."""

from collections.abc import Sequence

from anyio import CapacityLimiter

from cqox.contract.messages import Message
from cqox.dashboards import PanelAnswer
from cqox.dashboards.answering import answer_of, metric_queries
from cqox.dashboards.history import History
from cqox.dashboards.interpreter import Values, finish, read_terms
from cqox.threads import run_in_thread
from services.http.endpoints.dashboards import Asked

__all__ = ["OwnPanels"]


class OwnPanels:
    """Panels of operations from the samples of this process; a `Source`.

    Args:
        history: its samples.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        # A quantile over all estimators takes a tenth of a second: no reader may keep the others waiting for more.
        self._threads = CapacityLimiter(2)

    async def answer(self, question: Asked) -> PanelAnswer:
        """See `Source`."""
        terms = await self.terms(question)
        times = question.span.times
        answers = [
            finish(query, each, times) for query, each in zip(metric_queries(question.panel), terms, strict=True)
        ]
        return answer_of(
            question.panel, answers, times, language=question.language, notes=(Message("dashboards.of-this-process"),)
        )

    async def terms(self, question: Asked) -> list[list[Values]]:
        """Return the terms of every query of a panel."""
        return await run_in_thread(self._terms, question, limiter=self._threads)

    def _terms(self, question: Asked) -> list[list[Values]]:
        times: Sequence[float] = question.span.times
        return [
            read_terms(self._history, query, times, window=question.span.window, where=question.where)
            for query in metric_queries(question.panel)
        ]
