"""Figures and exports of a report over HTTP."""

import httpx
import pytest

from cqox.api.portal import Portal
from cqox.client.address import Server
from cqox.client.connection import Connection
from cqox.client.jobs import Started
from cqox.client.remote_source import RemoteSource, report_of
from cqox.errors import AnswerNotUnderstood
from tests.client.scripted import URL, Scripted, answer


def source(server: Scripted) -> RemoteSource:
    return RemoteSource(Portal(lambda: Connection.open(Server(url=URL, transport=server.transport))), "a")


def test_figures_and_documents_come_from_the_server_in_the_language_asked_for() -> None:
    svg = httpx.Response(200, content=b"<svg/>", headers={"Content-Type": "image/svg+xml"})
    server = Scripted(
        svg,
        answer({"mark": "point"}),
        httpx.Response(200, content=b"%PDF", headers={"Content-Type": "application/pdf"}),
    )
    made = source(server)
    assert made.drawn("forest", "svg", "ja") == b"<svg/>"
    assert made.specification("forest", "en") == {"mark": "point"}
    assert made.export("pdf", "ja") == b"%PDF"
    assert [str(request.url) for request in server.requests] == [
        f"{URL}/api/analyses/a/figures/forest.svg?lang=ja",
        f"{URL}/api/analyses/a/figures/forest.json?lang=en",
        f"{URL}/api/analyses/a/export.pdf?lang=ja",
    ]


def test_a_specification_that_is_none_is_refused() -> None:
    with pytest.raises(AnswerNotUnderstood, match="no Vega-Lite"):
        source(Scripted(answer([1]))).specification("forest", "en")


def test_a_report_knows_its_language_and_the_library_of_its_frame() -> None:
    portal = Portal(lambda: Connection.open(Server(url=URL)))
    made = report_of({"analysis_id": "a"}, Started(job_id="j", kind="pandas"), portal, "ja")
    assert made.language == "ja"
