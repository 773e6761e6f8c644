"""The operations on dashboards, and the one by which a gateway reads the samples of an engine."""

import math
from collections.abc import Sequence
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict

from cqox.contract import DashboardDescription, DashboardListing, PanelData
from cqox.dashboards.interpreter import Values
from cqox.security import Permission
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.security.audited import Audited

__all__ = ["DASHBOARD_OPERATIONS", "READ_TERMS", "PanelTerms", "TermLine"]

_PANEL = Parameter(name="panel", where="path", meaning="An id from the definition of the dashboard.")
_SPAN = (
    Parameter(name="from", where="query", meaning="Seconds since the epoch; an hour before `to` if absent."),
    Parameter(name="to", where="query", meaning="Seconds since the epoch; now if absent."),
    Parameter(
        name="step",
        where="query",
        meaning="Seconds between two points, at most 500 of them; about a hundred and twenty if absent.",
    ),
)
_CHOICES = (
    Parameter(name="job", where="query", meaning="Only this service, such as `cqox-engine`."),
    Parameter(name="instance", where="query", meaning="Only this process, by its name in the panel `instances`."),
)

DASHBOARD_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="list_dashboards",
        method="GET",
        path="/api/dashboards",
        group="Measures",
        summary="List the dashboards that the caller may see",
        needs=Permission.API_USE,
        audited=Audited.NEVER,
        answers=(Answer(meaning="Dashboards.", model=DashboardListing),),
        problems=(HTTPStatus.BAD_REQUEST,),
    ),
    Operation(
        name="read_operations",
        method="GET",
        path="/api/dashboards/operations",
        group="Measures",
        summary="Define the panels of the dashboard of operations",
        needs=Permission.OPERATIONS_READ,
        audited=Audited.NEVER,
        answers=(Answer(meaning="Rows of panels, in the language of the request.", model=DashboardDescription),),
        problems=(HTTPStatus.BAD_REQUEST,),
    ),
    Operation(
        name="read_operations_panel",
        method="GET",
        path="/api/dashboards/operations/panels/{panel}",
        group="Measures",
        summary="Read what a panel of operations shows",
        needs=Permission.OPERATIONS_READ,
        audited=Audited.NEVER,
        description="From the Prometheus of `CQOX_PROMETHEUS_URL`. Where there is none, or it is away, from the "
        "memory of the processes: ten seconds apart for an hour, two minutes apart for a day; `notes` says so. A "
        "gateway asks its engines for theirs; an engine answers for itself.",
        parameters=(_PANEL, *_SPAN, *_CHOICES),
        answers=(Answer(meaning="Lines, or the reason why there are none.", model=PanelData),),
        problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
    ),
)
"""In the order of the documentation."""


class TermLine(BaseModel):
    """Values of one line of a term, from the time with this number on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Sequence[str]
    first: int
    values: Sequence[float | None]


class PanelTerms(BaseModel):
    """Terms of the queries of a panel in one process, see `cqox.dashboards.interpreter`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    times: int
    queries: Sequence[Sequence[Sequence[TermLine]]]

    @classmethod
    def of(cls, queries: Sequence[Sequence[Values]], times: int) -> "PanelTerms":
        """Return terms as they are sent: a value that is no number is null, and those before the first are left out.

        Args:
            queries: terms of each query.
            times: how many values each line has.
        """
        return cls(times=times, queries=[[_lines(term) for term in terms] for terms in queries])

    def values(self) -> list[list[Values]]:
        """Return terms as the interpreter takes them."""
        return [[{tuple(line.key): self._filled(line) for line in term} for term in terms] for terms in self.queries]

    def _filled(self, line: TermLine) -> list[float]:
        given = [math.nan if value is None else value for value in line.values]
        return [*[math.nan] * line.first, *given][: self.times]


def _lines(term: Values) -> list[TermLine]:
    found = []
    for key, values in term.items():
        first = next((place for place, value in enumerate(values) if math.isfinite(value)), len(values))
        given = [value if math.isfinite(value) else None for value in values[first:]]
        found.append(TermLine(key=list(key), first=first, values=given))
    return found


READ_TERMS = Operation(
    name="read_panel_terms",
    method="GET",
    path="/api/internal/panels/{panel}",
    group="Internal",
    summary="Read the terms of a panel from the samples of this engine",
    needs=Permission.OPERATIONS_READ,
    audited=Audited.NEVER,
    parameters=(_PANEL, *_SPAN, *_CHOICES),
    answers=(Answer(meaning="Terms.", model=PanelTerms),),
    problems=(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND),
)
"""Served by engines alone, to gateways that ask for a principal; not in the OpenAPI document."""
