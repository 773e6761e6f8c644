"""`cqox.AsyncClient` without a server behind it."""

import inspect

import pytest

import cqox
from cqox.client import AsyncClient, Client
from cqox.errors import InvalidRequest, NotFound
from tests.client.scripted import URL, Scripted, answer, problem

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]
SUMMARY = {"dataset_id": "d", "created_at": "", "status": "ok"}


async def test_pages_of_reports_are_read_as_they_are_asked_for() -> None:
    pages = [
        answer({"analyses": [{**SUMMARY, "analysis_id": "1"}, {**SUMMARY, "analysis_id": "2"}], "next": "t|2"}),
        answer({"analyses": [{**SUMMARY, "analysis_id": "3"}], "next": None}),
    ]
    server = Scripted(*pages)
    async with AsyncClient(URL, transport=server.transport) as client:
        found = client.reports()
        assert [(await anext(found)).analysis_id for _ in range(2)] == ["1", "2"]
        assert len(server.requests) == 1
        assert [each.analysis_id async for each in found] == ["3"]
    assert server.requests[1].url.params["before"] == "t|2"


async def test_a_client_shows_its_server_and_no_token() -> None:
    client = AsyncClient(URL, token="secret")
    assert repr(client) == f"AsyncClient('{URL}')"
    assert client.url == URL
    await client.aclose()


async def test_a_keyword_that_is_none_is_refused_before_anything_is_sent() -> None:
    server = Scripted(problem(404, "not-found"))
    client = AsyncClient(URL, transport=server.transport)
    for call in (client.analyze, client.submit):
        with pytest.raises(InvalidRequest, match="Did you mean treatment"):
            await call("test", y="y", treatmant="w")  # type: ignore[call-arg]
        with pytest.raises(InvalidRequest, match="language"):
            await call("test", y="y", treatment="w", language="xx")  # type: ignore[arg-type]
    assert server.requests == []


async def test_a_job_of_another_process_is_found_by_its_id() -> None:
    client = AsyncClient(URL, transport=Scripted(problem(404, "not-found")).transport)
    job = client.job("j")
    assert repr(job) == "AsyncJob('j')"
    with pytest.raises(NotFound):
        await job.status()


async def test_both_clients_have_the_methods_and_keywords_of_each_other() -> None:
    ours = {name for name in dir(AsyncClient) if name[0] != "_"} - {"aclose"}
    assert ours == {name for name in dir(Client) if name[0] != "_"} - {"close"}
    for name in ours - {"url"}:
        mine, its = (inspect.signature(getattr(form, name)).parameters for form in (AsyncClient, Client))
        assert list(mine) == list(its), name
    assert "treatment" in inspect.signature(AsyncClient.analyze).parameters
    assert (cqox.AsyncClient, cqox.Client) == (AsyncClient, Client)
