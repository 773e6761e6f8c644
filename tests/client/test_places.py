"""Tables in place as arguments of a client, and as members of its requests."""

import json
import math
from typing import Any

import anyio
import httpx
import pytest

from cqox.client import AsyncClient, Client, analyses, places
from cqox.client.address import Server
from cqox.client.connection import Connection
from cqox.client.given_data import given
from cqox.client.places import TableInPlace, data_or_table
from cqox.errors import InvalidRequest, NotFound
from tests.client.scripted import URL, Scripted, answer, problem

SALES = TableInPlace(source="shop", table="public.sales")
LISTED = {
    "sources": [
        {"name": "shop", "kind": "postgresql", "meaning": "Sales", "tables": ["public.sales", "public.returns"]},
        {"name": "weather", "kind": "url", "meaning": ""},
    ]
}
JOB = {
    "job_id": "j",
    "status": "running",
    "created_at": "t",
    "dataset_id": "source:shop:public.sales",
    "steps": 0,
    "links": {},
}


@pytest.mark.parametrize(
    ("given_data", "source", "table", "field", "said"),
    [
        (None, None, None, "data", "either data"),
        ("trial.csv", "shop", "public.sales", "source", "either data"),
        ("trial.csv", "shop", None, "source", "either data"),
        ("trial.csv", None, "public.sales", "source", "either data"),
        (None, "shop", None, "table", "'shop' needs table="),
        (None, None, "public.sales", "source", "give source= as well"),
    ],
)
def test_data_and_a_table_in_place_exclude_each_other(
    given_data: object, source: str | None, table: str | None, field: str, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        data_or_table(given_data, source, table)
    assert caught.value.field == field


def test_data_are_what_was_given_and_a_table_in_place_is_named() -> None:
    assert data_or_table("trial.csv", None, None) == "trial.csv"
    assert data_or_table(None, "shop", "public.sales") == SALES


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_options_of_reading_a_file_are_refused_for_a_table_in_place() -> None:
    with pytest.raises(InvalidRequest, match="a table in place is none") as caught:
        async with given(SALES, {"encoding": "cp932"}):
            pass
    assert caught.value.field == "read"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_request_names_the_table_and_nothing_is_uploaded_or_described() -> None:
    server, steps = Scripted(answer(JOB, 202)), list[object]()
    await analyses.submit(server.connection(), SALES, {"y": "revenue"}, {}, on_step=steps.append)
    assert server.asked() == ["POST /api/analyze/comprehensive"]
    assert json.loads(server.requests[0].content) == {
        "source": "shop", "table": "public.sales", "mapping": {"y": "revenue"}, "options": {},
    }  # fmt: skip
    assert steps == []


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_source_that_is_not_there_is_the_error_of_the_server_and_no_upload_is_tried() -> None:
    missing = problem(404, "not-found", "There is no source 'shp'.", field="source", choices=["shop"])
    server = Scripted(missing)
    async with AsyncClient(URL, transport=server.transport) as client:
        with pytest.raises(NotFound) as caught:
            await client.analyze(source="shp", table="public.sales", y="revenue", treatment="campaign")
    assert (caught.value.field, caught.value.choices) == ("source", ("shop",))
    assert server.asked() == ["POST /api/analyze/comprehensive"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_sources_are_listed_with_their_tables() -> None:
    server = Scripted(answer(LISTED))
    async with AsyncClient(URL, transport=server.transport) as client:
        found = await client.sources()
    assert [(each.name, list(each.tables)) for each in found] == [
        ("shop", ["public.sales", "public.returns"]), ("weather", []),
    ]  # fmt: skip
    assert server.asked() == ["GET /api/sources"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_columns_are_asked_for_by_source_and_table() -> None:
    column = {"name": "y", "kind": "real", "type": None}
    server = Scripted(answer({"source": "shop", "table": "a&b.c", "columns": [column]}))
    async with AsyncClient(URL, transport=server.transport) as client:
        (found,) = await client.columns("shop", "a&b.c")
    assert (found.name, found.kind) == ("y", "real")
    assert server.asked() == ["GET /api/sources/shop/columns"]
    assert dict(server.requests[0].url.params) == {"table": "a&b.c"}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_cancelled_listing_ends_at_once() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(math.inf)
        raise AssertionError

    connection = Connection(Server(url=URL, transport=httpx.MockTransport(hang)))
    with anyio.fail_after(30), anyio.move_on_after(0.05) as scope:
        await places.sources(connection)
    assert scope.cancelled_caught


@pytest.mark.parametrize("call", ["analyze", "submit"])
def test_a_synchronous_client_refuses_both_before_anything_is_sent(call: str) -> None:
    server = Scripted(answer(LISTED))
    with Client(URL, transport=server.transport) as client:
        asked: Any = getattr(client, call)
        for arguments in ({"data": "test", "source": "shop", "table": "t"}, {"source": "shop"}, {}):
            with pytest.raises(InvalidRequest):
                asked(**arguments, y="y", treatment="w")
        assert server.requests == []
        assert [each.name for each in client.sources()] == ["shop", "weather"]
