"""Dashboards: their list and definitions, and the panels of operations from a source of the service."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from quart_trio.wrappers import TrioResponse

from cqox import clock
from cqox.contract import (
    DashboardDescription,
    DashboardListing,
    DashboardSummary,
    PanelData,
    PanelDescription,
    PanelLink,
    PanelRow,
    PanelSeries,
    shortened,
)
from cqox.contract.messages import Language, Message
from cqox.dashboards import MOST_POINTS, Dashboard, Link, Match, Panel, PanelAnswer, Span
from cqox.dashboards.analyses import ANALYSIS
from cqox.dashboards.operations import OPERATIONS
from cqox.errors import InvalidRequest, NotFound
from services.config.settings import Settings
from services.http.contract.api import operation
from services.http.contract.operations import Operation
from services.http.contract.queries import query_of
from services.http.contract.registration import Handler, add_operation
from services.http.request.request import current_request
from services.http.response.translation import add_language
from services.http.security.requester import principal_of
from services.http.server.app import App

__all__ = [
    "OF_ANALYSES",
    "OF_OPERATIONS",
    "Asked",
    "Source",
    "Spans",
    "add_dashboards",
    "asked",
    "dashboard_json",
    "described",
    "panel_data",
    "panel_of",
]

_SHORTEST_STEP_SECONDS = 5.0
_POINTS = 120
_MOST_CHOICE = 250
_DASHBOARDS = ((OPERATIONS, "read_operations"), (ANALYSIS, "read_analysis_dashboard"))
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Times for which a dashboard is asked.

    Attributes:
        usual: length where `from` is absent, in seconds.
        longest: greatest length, in seconds.
        steps: lengths of a step where it is absent, in seconds; the first with few enough points.
    """

    usual: float
    longest: float
    steps: tuple[float, ...]


OF_OPERATIONS = Spans(
    usual=3600.0,
    longest=31 * _DAY_SECONDS,
    steps=(10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21_600.0),
)
OF_ANALYSES = Spans(
    usual=30 * _DAY_SECONDS,
    longest=3_660 * _DAY_SECONDS,
    steps=(60.0, 600.0, 3600.0, 21_600.0, _DAY_SECONDS, 7 * _DAY_SECONDS, 31 * _DAY_SECONDS),
)
"""A report is a day's work rather than a second's, and is kept for years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question of a request for a panel.

    Attributes:
        panel: the panel.
        span: the times.
        where: the service and the process that were chosen.
        language: language of names.
    """

    panel: Panel
    span: Span
    where: tuple[Match, ...]
    language: Language


class Source(Protocol):
    """Answers the panels of operations in one service."""

    async def answer(self, question: Asked) -> PanelAnswer:
        """Answer a panel."""
        ...


def add_dashboards(app: App, source: Source) -> None:
    """Add the operations on the dashboard of operations to the app."""

    async def list_dashboards() -> TrioResponse:
        query_of("list_dashboards")
        principal, language = principal_of(current_request().scope), current_request().language
        found = [
            DashboardSummary(id=one.id, title=one.title.in_language(language), panels=len(one.panels))
            for one, name in _DASHBOARDS
            if principal is None or operation(name).needs in principal.permissions
        ]
        return dashboard_json(DashboardListing(dashboards=found).model_dump_json())

    async def read_operations() -> TrioResponse:
        query_of("read_operations")
        return dashboard_json(described(OPERATIONS, app.settings, current_request().language).model_dump_json())

    async def read_operations_panel(panel: str) -> TrioResponse:
        question = asked(operation("read_operations_panel"), OPERATIONS, panel)
        found = panel_data(question.panel, question.span, await source.answer(question), question.language)
        return dashboard_json(found.model_dump_json())

    handlers: Mapping[str, Handler] = {
        "list_dashboards": list_dashboards,
        "read_operations": read_operations,
        "read_operations_panel": read_operations_panel,
    }
    for name, handler in handlers.items():
        add_operation(app, operation(name), handler)


def panel_of(dashboard: Dashboard, panel_id: str) -> Panel:
    """Return a panel.

    Raises:
        NotFound: the dashboard has none with this id.
    """
    try:
        return dashboard.panel(panel_id)
    except KeyError:
        known = [panel.id for panel in dashboard.panels]
        raise NotFound(Message("request.no-such-panel", panel=shortened(panel_id)), choices=known) from None


def asked(what: Operation, dashboard: Dashboard, panel_id: str, spans: Spans = OF_OPERATIONS) -> Asked:
    """Parse the question of the current request.

    Raises:
        InvalidRequest: a parameter is unknown or no number, or the span is empty, too long, or has too many points.
        NotFound: there is no such panel.
    """
    query = query_of(what)
    panel = panel_of(dashboard, panel_id)
    end = _number(query, "to", clock.wall_time())
    start = _number(query, "from", end - spans.usual)
    if not 0 <= start < end or end - start > spans.longest:
        raise InvalidRequest(Message("request.no-span"), field="from")
    wanted = next((step for step in spans.steps if (end - start) / step <= _POINTS), spans.steps[-1])
    step = _number(query, "step", wanted)
    if not _SHORTEST_STEP_SECONDS <= step <= end - start or (end - start) / step > MOST_POINTS - 2:
        raise InvalidRequest(Message("request.step-out-of-bounds", most=MOST_POINTS), field="step")
    # On multiples of the step, so that the same points come again and answers can be shared.
    span = Span(start=math.floor(start / step) * step, end=math.floor(end / step) * step, step=step)
    where = tuple(
        Match(label=name, how="=", value=query[name][:_MOST_CHOICE]) for name in ("job", "instance") if query.get(name)
    )
    return Asked(panel=panel, span=span, where=where, language=current_request().language)


def described(dashboard: Dashboard, settings: Settings, language: Language) -> DashboardDescription:
    """Return the definition of a dashboard in a language."""

    def link(one: Link) -> PanelLink:
        return PanelLink(
            kind=one.kind, title=one.title.in_language(language), target=one.target, address=_address(one, settings)
        )

    def panel(one: Panel) -> PanelDescription:
        return PanelDescription(
            id=one.id,
            title=one.title.in_language(language),
            help=one.help.in_language(language),
            unit=one.unit,
            kind=one.kind,
            columns=one.columns,
            warn=one.warn,
            alarm=one.alarm,
            stacked=one.stacked,
            links=[link(each) for each in one.links],
        )

    return DashboardDescription(
        id=dashboard.id,
        title=dashboard.title.in_language(language),
        rows=[
            PanelRow(id=row.id, title=row.title.in_language(language), panels=[panel(one) for one in row.panels])
            for row in dashboard.rows
        ],
    )


def panel_data(panel: Panel, span: Span, answer: PanelAnswer, language: Language) -> PanelData:
    """Return the content of a panel in a language."""
    return PanelData(
        panel=panel.id,
        unit=panel.unit,
        start=span.start,
        end=span.end,
        step=span.step,
        series=[PanelSeries(name=line.name, labels=line.labels, points=list(line.points)) for line in answer.lines],
        columns=None if answer.columns is None else [each.in_language(language) for each in answer.columns],
        rows=None if answer.rows is None else [list(row) for row in answer.rows],
        reason=None if answer.reason is None else answer.reason.in_language(language),
        notes=_translated(answer.notes, language),
    )


def _translated(sentences: Sequence[Message], language: Language) -> list[str]:
    return [sentence.in_language(language) for sentence in sentences]


def _address(link: Link, settings: Settings) -> str | None:
    match link.kind:
        case "runbook":
            # A heading's anchor is in lower case; the target has the name of the alert.
            _, _, alert = link.target.partition("#")
            return f"{settings.runbook_url}#{alert.lower()}" if settings.runbook_url else None
        case "traces":
            # A viewer of traces starts at the place that its traces are below.
            scheme, _, rest = settings.trace_url.partition("://")
            return f"{scheme}://{rest.partition('/')[0]}/" if rest else None
        case "page":
            return link.target


def _number(query: Mapping[str, str], name: str, otherwise: float) -> float:
    given = query.get(name)
    if given is None:
        return otherwise
    try:
        found = float(given)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InvalidRequest(Message("request.no-number", given=shortened(given), field=name), field=name)
    return found


def dashboard_json(body: str) -> TrioResponse:
    """Return JSON of a dashboard as a response in the language of the request."""
    # Of a point in time: nothing between here and the reader keeps it.
    response = TrioResponse(body, content_type="application/json", headers={"Cache-Control": "no-store"})
    add_language(current_request(), response)
    return response
