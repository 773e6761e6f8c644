"""The operations on the dashboard of operations: definitions in both languages, spans, and refusals by name."""

import pytest
from quart import typing as quart_typing

from cqox import clock
from cqox.contract.messages import Message
from cqox.dashboards import Line, PanelAnswer, Span
from cqox.dashboards.operations import OPERATIONS
from cqox.errors import NotFound
from services.config.settings import Settings
from services.http.endpoints.dashboards import Asked, add_dashboards, described, panel_data, panel_of
from services.http.server.app import App

NOW = 1_700_000_003.0


class Recording:
    """A source that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    async def answer(self, question: Asked) -> PanelAnswer:
        self.asked.append(question)
        line = Line(name="a", points=[(question.span.start, 1.0)], labels={"job": "cqox-gateway"})
        return PanelAnswer(lines=[line], notes=(Message("dashboards.prometheus-away"),))


@pytest.fixture
def source() -> Recording:
    return Recording()


@pytest.fixture
def client(source: Recording, monkeypatch: pytest.MonkeyPatch) -> quart_typing.TestClientProtocol:
    monkeypatch.setattr(clock, "wall_time", lambda: NOW)
    app = App(__name__, title="Gateway", settings=Settings(trace_url="http://traces:16686/trace/{trace_id}"))
    add_dashboards(app, source)
    return app.test_client()


@pytest.mark.trio
async def test_the_list_and_the_definition_are_in_the_language_of_the_request(
    client: quart_typing.TestClientProtocol,
) -> None:
    listing = await (await client.get("/api/dashboards")).get_json()
    assert listing == {
        "dashboards": [
            {"id": "operations", "title": "Operations", "panels": len(OPERATIONS.panels)},
            {"id": "analysis", "title": "Analyses", "panels": 37},
        ]
    }
    answer = await client.get("/api/dashboards/operations?lang=ja")
    assert answer.headers["Content-Language"] == "ja"
    found = await answer.get_json()
    assert found["title"] == "運用"
    assert [row["id"] for row in found["rows"]] == [row.id for row in OPERATIONS.rows]
    links = [link for row in found["rows"] for panel in row["panels"] for link in panel["links"]]
    assert {link["address"] for link in links if link["kind"] == "traces"} == {"http://traces:16686/"}
    assert {link["address"] for link in links if link["kind"] == "runbook"} == {None}


@pytest.mark.trio
async def test_a_panel_is_asked_for_on_multiples_of_its_step(
    client: quart_typing.TestClientProtocol, source: Recording
) -> None:
    answer = await client.get("/api/dashboards/operations/panels/requests?job=cqox-gateway&lang=ja")
    found = await answer.get_json()
    [question] = source.asked
    assert question.span == Span(start=NOW - 3603 - 20, end=NOW - 23, step=30.0)
    assert [(match.label, match.value) for match in question.where] == [("job", "cqox-gateway")]
    assert found["series"] == [{"name": "a", "labels": {"job": "cqox-gateway"}, "points": [[question.span.start, 1.0]]}]
    assert found["notes"] == ["Prometheus が応答しません。"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("to=nan", "to"),
        ("from=2000000000", "from"),
        ("from=1", "from"),
        ("step=1", "step"),
        ("step=1e9", "step"),
        ("from=1699900000&step=10", "step"),
        ("query=up", "query"),
    ],
)
async def test_what_cannot_be_answered_is_refused_by_its_name(
    client: quart_typing.TestClientProtocol, source: Recording, query: str, field: str
) -> None:
    answer = await client.get(f"/api/dashboards/operations/panels/requests?{query}")
    assert (answer.status_code, (await answer.get_json(force=True))["field"]) == (400, field)
    assert source.asked == []


@pytest.mark.trio
async def test_a_panel_that_there_is_not_is_404_with_those_that_there_are(
    client: quart_typing.TestClientProtocol,
) -> None:
    answer = await client.get("/api/dashboards/operations/panels/up")
    assert answer.status_code == 404
    assert "requests" in (await answer.get_json(force=True))["choices"]
    with pytest.raises(NotFound):
        panel_of(OPERATIONS, "up")


def test_a_runbook_that_is_published_is_linked_by_its_section() -> None:
    found = described(OPERATIONS, Settings(runbook_url="https://docs.example/runbook"), "en")
    [link] = found.rows[0].panels[0].links
    assert link.address == "https://docs.example/runbook#cqoxdown"


def test_a_table_has_its_headings_in_the_language_of_the_reader() -> None:
    answer = PanelAnswer(columns=[Message("dashboards.word-open")], rows=[["a"], [1.0]])
    found = panel_data(OPERATIONS.panels[0], Span(start=0.0, end=10.0, step=10.0), answer, "ja")
    assert found.columns == ["開"]
    assert found.rows == [["a"], [1.0]]
