"""Panels at a gateway: Prometheus first, then the memory of all processes, and what is missing is said."""

from collections.abc import Mapping, Sequence

import pytest

from cqox.dashboards import Match, MetricQuery, Span
from cqox.dashboards.history import History, Sample
from cqox.dashboards.operations import OPERATIONS
from services.config.settings import Settings
from services.gateway.dashboards import GatewayPanels
from services.gateway.engine_client import Call, Reply
from services.gateway.prometheus import Prometheus, PrometheusAway
from services.gateway.routes import EngineAccess
from services.http.contract.dashboard_operations import PanelTerms
from services.http.endpoints.dashboards import Asked
from services.http.endpoints.own_panels import OwnPanels
from services.http.server.app import App

SPAN = Span(start=1000.0, end=1050.0, step=10.0)


class Engines:
    """Policies of a gateway that ask these engines."""

    def __init__(self, replies: Sequence[Reply | None]) -> None:
        self.replies = replies
        self.calls: list[Call] = []

    async def read_each(self, call: Call, *, seconds: float) -> list[Reply | None]:
        self.calls.append(call)
        return list(self.replies)


class Known(Prometheus):
    """A Prometheus that knows one value, or is away."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away

    async def values(
        self, query: MetricQuery, times: Sequence[float], *, window: float, where: Sequence[Match] = ()
    ) -> Mapping[tuple[str, ...], Sequence[float]]:
        if self.away:
            raise PrometheusAway("connection refused")
        return {("cqox-gateway",): [7.0] * len(times)}


def own() -> OwnPanels:
    history = History()
    for number in range(12):
        history.add(940.0 + 10 * number, [Sample("up", {"job": "cqox-gateway", "instance": "g:1"}, 1.0)])
    return OwnPanels(history)


def engine(job: str, value: float, *, times: int = 6) -> Reply:
    body = PanelTerms.of([[{(job,): [value] * times}]], times).model_dump_json().encode()
    return Reply(status=200, headers=(), body=body)


def asked(panel: str = "answering") -> Asked:
    return Asked(panel=OPERATIONS.panel(panel), span=SPAN, where=(), language="en")


def panels(*replies: Reply | None, prometheus: Prometheus | None = None) -> tuple[GatewayPanels, Engines]:
    access, engines = EngineAccess(), Engines(replies)
    access.policies = engines  # type: ignore[assignment]
    return GatewayPanels(own(), access, prometheus, now=lambda: 0.0), engines


async def answered(source: GatewayPanels, question: Asked) -> tuple[dict[str, float], list[str], str | None]:
    app = App(__name__, title="Gateway", settings=Settings())
    async with app.test_request_context("/api/dashboards/operations/panels/answering"):
        answer = await source.answer(question)
    reason = None if answer.reason is None else answer.reason.code
    return {line.name: line.points[-1][1] for line in answer.lines}, [note.code for note in answer.notes], reason


@pytest.mark.trio
async def test_processes_are_put_together_and_those_that_are_silent_are_counted() -> None:
    source, engines = panels(engine("cqox-engine", 1.0), engine("cqox-engine", 1.0), None)
    found, notes, reason = await answered(source, asked())
    assert found == {"cqox-gateway": 1.0, "cqox-engine": 2.0}
    assert notes == ["dashboards.engine-missing"]
    assert reason is None
    assert engines.calls[0].target == b"/api/internal/panels/answering?from=1000.0&to=1050.0&step=10.0"


@pytest.mark.trio
@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=500, headers=(), body=b"{}"),
        Reply(status=200, headers=(), body=b"{"),
        engine("cqox-engine", 1.0, times=5),
        Reply(status=200, headers=(), body=b'{"times":6,"queries":[]}'),
        Reply(
            status=200,
            headers=(),
            body=PanelTerms.of([[{("cqox-engine", "b:1"): [1.0] * 6}]], 6).model_dump_json().encode(),
        ),
    ],
    ids=["failure", "no JSON", "other times", "other panel", "other labels"],
)
async def test_an_engine_that_answers_something_else_counts_as_silent(reply: Reply) -> None:
    found, notes, _ = await answered(panels(reply)[0], asked())
    assert found == {"cqox-gateway": 1.0}
    assert notes == ["dashboards.engine-missing"]


@pytest.mark.trio
async def test_prometheus_answers_where_there_is_one_and_no_engine_is_asked() -> None:
    source, engines = panels(prometheus=Known())
    assert await answered(source, asked()) == ({"cqox-gateway": 7.0}, [], None)
    assert engines.calls == []


@pytest.mark.trio
async def test_while_prometheus_is_away_the_processes_answer_and_say_so() -> None:
    source, _ = panels(engine("cqox-engine", 1.0), prometheus=Known(away=True))
    found, notes, _ = await answered(source, asked())
    assert found == {"cqox-gateway": 1.0, "cqox-engine": 1.0}
    assert notes == ["dashboards.from-own-history"]


@pytest.mark.trio
async def test_the_same_question_costs_once_until_the_next_point_is_due() -> None:
    seconds = [0.0]
    access, engines = EngineAccess(), Engines([engine("cqox-engine", 1.0)])
    access.policies = engines  # type: ignore[assignment]
    source = GatewayPanels(own(), access, now=lambda: seconds[0])
    for seconds[0] in (0.0, 1.0, 4.9):
        await answered(source, asked())
    assert len(engines.calls) == 1
    seconds[0] = 5.1
    await answered(source, asked())
    assert len(engines.calls) == 2
    await answered(source, asked("instances"))
    assert len(engines.calls) == 3
