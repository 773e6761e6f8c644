"""Operations without an analysis, where the server's answers are out of the ordinary."""

import json
from pathlib import Path

import anyio
import httpx
import pytest

from cqox.client import operations
from cqox.client.given_data import given
from cqox.contract import file_digest
from cqox.errors import AnswerNotUnderstood, InvalidRequest, NotFound, UnreadableFile
from tests.client.scripted import Scripted, answer, problem

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]
GONE = problem(404, "not-found")
CONTENT = b"y,w\n1,0\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "shops.csv"
    found.write_bytes(CONTENT)
    return found


def described(dataset_id: str) -> httpx.Response:
    return answer(
        {
            "dataset_id": dataset_id, "name": "n", "rows": 1, "columns": [], "format": "csv", "size_bytes": 8,
            "created_at": "", "later": "member",
        }
    )  # fmt: skip


async def test_data_that_the_server_has_are_not_sent(path: Path) -> None:
    digest, _ = file_digest(path)
    server = Scripted(described(digest))
    assert (await operations.upload(server.connection(), path)).dataset_id == digest
    assert server.asked() == [f"GET /api/datasets/{digest}"]


async def test_data_that_it_lacks_are_sent_as_they_are(path: Path) -> None:
    digest, size_bytes = file_digest(path)
    server = Scripted(GONE, described(digest))
    steps: list[object] = []
    found = await operations.upload(server.connection(), path, name="店", read=None, on_step=steps.append)
    assert found.dataset_id == digest
    sent = server.requests[1]
    assert sent.content == CONTENT
    assert (sent.headers["Content-Length"], sent.url.params["name"]) == (str(size_bytes), "店")
    assert steps[-1] == {"step": "upload", "sent_bytes": size_bytes, "size_bytes": size_bytes}


async def test_a_file_that_changes_meanwhile_is_noticed(path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"shops\.csv has changed"):
        await operations.upload(Scripted(GONE, described("other")).connection(), path)


async def test_a_file_that_goes_away_meanwhile_is_named(path: Path) -> None:
    connection = Scripted(GONE).connection()
    async with given(path, None) as found:
        await anyio.Path(path).unlink()
        with pytest.raises(UnreadableFile, match=r"shops\.csv"):
            await operations.uploaded(connection, found)


async def test_a_data_set_that_is_named_must_be_there() -> None:
    with pytest.raises(NotFound):
        await operations.upload(Scripted(GONE).connection(), "a" * 32)


async def test_roles_of_a_data_set_of_the_server_are_one_request() -> None:
    server = Scripted(answer({"dataset_id": "test", "mapping": {"y": "y"}, "candidates": {}}))
    assert (await operations.roles(server.connection(), "test")).mapping == {"y": "y"}
    assert server.asked() == ["POST /api/roles/infer"]


@pytest.mark.parametrize("erased", [httpx.Response(204), GONE], ids=["answered", "gone"])
async def test_a_deletion_whose_answer_was_lost_has_succeeded(erased: httpx.Response) -> None:
    server = Scripted(httpx.ReadError("x"), erased)
    await operations.delete_dataset(server.connection(), "a", reports=True)
    assert [str(request.url.query) for request in server.requests] == ["b'erase=reports'"] * 2
    await operations.delete_report(Scripted(httpx.ReadError("x"), erased).connection(), "a")


async def test_what_is_not_there_cannot_be_deleted() -> None:
    for delete in (operations.delete_dataset, operations.delete_report):
        with pytest.raises(NotFound):
            await delete(Scripted(GONE).connection(), "a")


async def test_a_page_of_reports_says_where_the_next_begins() -> None:
    server = Scripted(answer({"analyses": [], "next": "2026|b"}))
    page = await operations.reports_page(server.connection(), dataset_id="d", before="2025|a")
    assert page.next == "2026|b"
    assert dict(server.requests[0].url.params) == {"limit": "100", "dataset_id": "d", "before": "2025|a"}


async def test_a_figure_must_be_one() -> None:
    drawn = httpx.Response(200, content=b"<svg/>", headers={"Content-Type": "image/svg+xml; charset=utf-8"})
    server = Scripted(drawn, httpx.Response(200, html="<p>Log in"))
    connection = server.connection()
    assert await operations.figure(connection, "a", "f 1", "svg", language="ja") == b"<svg/>"
    assert server.requests[0].url.raw_path == b"/api/analyses/a/figures/f%201.svg?lang=ja"
    with pytest.raises(AnswerNotUnderstood, match="is text/html"):
        await operations.figure(connection, "a", "f", "svg", language="en")


async def test_a_document_must_be_one_of_a_known_format() -> None:
    server = Scripted(document("application/pdf"), document("text/html"))
    assert await operations.export(server.connection(), "a", "pdf", language="ja") == b"%PDF"
    with pytest.raises(AnswerNotUnderstood, match="is text/html"):
        await operations.export(server.connection(), "a", "pdf", language="ja")
    with pytest.raises(InvalidRequest) as caught:
        await operations.export(server.connection(), "a", "pfd", language="en")
    assert "pdf" in caught.value.choices
    assert len(server.requests) == 2


def document(media: str) -> httpx.Response:
    return httpx.Response(200, content=b"%PDF", headers={"Content-Type": media})


async def test_a_server_without_exports_says_so() -> None:
    with pytest.raises(AnswerNotUnderstood, match=r"has no /api/analyses/a/export\.pdf"):
        await operations.export(Scripted(problem(404, "no-such-path")).connection(), "a", "pdf", language="en")


async def test_a_report_of_another_version_is_not_understood() -> None:
    with pytest.raises(AnswerNotUnderstood, match="dataset_id: Field required"):
        await operations.report_document(Scripted(answer({"analysis_id": "a"})).connection(), "a")


async def test_lists_and_health_are_models() -> None:
    server = Scripted(
        answer({"datasets": []}), answer({"estimators": []}), answer({"definitions": []}),
        answer({"status": "degraded", "service": "gateway", "version": "9", "degraded": {"store": "x"}, "in_flight": 0,
                "uptime_seconds": 1.0}),
    )  # fmt: skip
    connection = server.connection()
    assert await operations.datasets(connection) == []
    assert await operations.catalog(connection) == []
    assert await operations.definitions(connection, language="ja") == []
    assert (await operations.health(connection)).degraded == {"store": "x"}
    assert server.requests[2].url.params["lang"] == "ja"


async def test_a_preview_of_a_data_set_of_the_server_is_one_request_in_its_language() -> None:
    body = {"dataset_id": "test", "mapping": {}, "options": {}, "contrasts": [], "main": 0}
    server = Scripted(answer(body))
    found = await operations.preview(server.connection(), "test", {"y": "y"}, {"alpha": 0.1}, language="ja")
    assert (found.dataset_id, found.main) == ("test", 0)
    assert server.asked() == ["POST /api/analyze/preview"]
    (request,) = server.requests
    assert request.url.query == b"lang=ja"
    assert json.loads(request.content) == {"dataset_id": "test", "mapping": {"y": "y"}, "options": {"alpha": 0.1}}
