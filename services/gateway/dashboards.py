"""Panels of operations at a gateway: from Prometheus, else from the memory of the gateway and of all its engines."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from http import HTTPStatus
from urllib.parse import urlencode

import structlog

from cqox import clock
from cqox.contract.messages import Message
from cqox.dashboards import Panel, PanelAnswer
from cqox.dashboards.answering import answer_of, metric_queries
from cqox.dashboards.interpreter import Values, finish, join_terms, terms_of
from services.gateway.engine_client import Call, Hop
from services.gateway.prometheus import Prometheus, PrometheusAway
from services.gateway.routes import EngineAccess
from services.http.contract.dashboard_operations import READ_TERMS, PanelTerms
from services.http.endpoints.dashboards import Asked
from services.http.endpoints.own_panels import OwnPanels
from services.http.request.request import current_request
from services.http.security.requester import principal_of

__all__ = ["GatewayPanels"]

_ENGINE_SECONDS = 3.0
_MOST_KEPT = 256
_log = structlog.stdlib.get_logger("cqox.gateway")


class GatewayPanels:
    """Panels of operations of all services; a `Source`.

    An answer is kept until the next point is due, so that many readers of one dashboard cost as much as one.

    Args:
        own: the panels of the gateway itself.
        engines: reach the engines.
        prometheus: asked first; None where there is none.
        now: seconds that never go back.
    """

    def __init__(
        self,
        own: OwnPanels,
        engines: EngineAccess,
        prometheus: Prometheus | None = None,
        *,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._own = own
        self._engines = engines
        self._prometheus = prometheus
        self._now = now
        self._kept: OrderedDict[Asked, tuple[float, PanelAnswer]] = OrderedDict()

    async def answer(self, question: Asked) -> PanelAnswer:
        """See `Source`."""
        until, found = self._kept.get(question, (0.0, None))
        if found is not None and self._now() < until:
            return found
        found = await self._answered(question)
        self._kept[question] = (self._now() + question.span.step / 2, found)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return found

    async def _answered(self, question: Asked) -> PanelAnswer:
        if self._prometheus is None:
            return await self._from_processes(question)
        times, span = question.span.times, question.span
        try:
            answers = [
                await self._prometheus.values(query, times, window=span.window, where=question.where)
                for query in metric_queries(question.panel)
            ]
        except PrometheusAway as error:
            _log.warning("Prometheus does not answer: %s", error)
            return await self._from_processes(question, Message("dashboards.prometheus-away"))
        return answer_of(question.panel, answers, times, language=question.language)

    async def _from_processes(self, question: Asked, why: Message | None = None) -> PanelAnswer:
        given: list[Sequence[Sequence[Values]]] = [await self._own.terms(question)]
        engines, missing = await self._of_engines(question)
        given += engines
        notes = () if why is None else (Message("dashboards.from-own-history", reason=why),)
        if missing:
            notes = (*notes, Message("dashboards.engine-missing", count=missing))
        answers: list[Values] = []
        for number, query in enumerate(metric_queries(question.panel)):
            answers.append(finish(query, join_terms(query, [each[number] for each in given]), question.span.times))
        return answer_of(question.panel, answers, question.span.times, language=question.language, notes=notes)

    async def _of_engines(self, question: Asked) -> tuple[list[Sequence[Sequence[Values]]], int]:
        span = question.span
        # The ends as they are: an engine puts them on the same multiples of the step.
        asked = {"from": span.start, "to": span.end, "step": span.step}
        query = urlencode({**asked, **{each.label: each.value for each in question.where}})
        target = READ_TERMS.path.replace("{panel}", question.panel.id)
        call = Call(method=READ_TERMS.method, target=f"{target}?{query}".encode(), hop=self._hop())
        replies = await self._engines.policies.read_each(call, seconds=_ENGINE_SECONDS)
        found: list[Sequence[Sequence[Values]]] = []
        for reply in replies:
            if reply is None or reply.status != HTTPStatus.OK:
                continue
            try:
                given = PanelTerms.model_validate_json(reply.body)
            except ValueError:
                continue
            # An engine of another version may define the panel otherwise.
            if given.times == len(span.times) and _fits(terms := given.values(), question.panel):
                found.append(terms)
        return found, len(replies) - len(found)

    def _hop(self) -> Hop | None:
        principal = principal_of(current_request().scope)
        if self._engines.writer is None or principal is None:
            return None
        return self._engines.writer.of(principal)


def _fits(terms: Sequence[Sequence[Values]], panel: Panel) -> bool:
    """Return whether terms are those of the queries of a panel: as many, with as many labels each."""
    wanted = [[len(term.by) for term in terms_of(query)] for query in metric_queries(panel)]
    if [len(each) for each in terms] != [len(each) for each in wanted]:
        return False
    found = zip((term for each in terms for term in each), (count for each in wanted for count in each), strict=True)
    return all(len(key) == count for term, count in found for key in term)
