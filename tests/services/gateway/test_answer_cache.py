"""Answers that the gateway keeps for a moment."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, cast

import pytest

from cqox import clock
from cqox.errors import DeadlineExceeded
from cqox.security import LOCAL
from services.gateway.answer_cache import AnswerCache, Question, is_from_cache, set_recorded
from services.http.contract.api import OPERATIONS
from services.http.request.proxied import ProxiedRequest
from services.http.response.plain import PlainResponse
from services.http.security.audited import Audited
from services.http.security.requester import set_principal

pytestmark = pytest.mark.trio


class Time:
    """A clock that stands still."""

    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Iterator[Time]:
    source = Time()
    with clock.installed(source):
        yield source


def asking(
    *fields: tuple[str, str],
    target: str = "/api/analyses/a",
    query: str = "",
    tenant: str = "one",
    method: str = "GET",
    known: bool = True,
) -> ProxiedRequest:
    scope: dict[str, Any] = {
        "method": method,
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "http_version": "1.1",
        "client": None,
        "headers": [(name.encode(), value.encode()) for name, value in fields],
    }
    if known:
        set_principal(scope, replace(LOCAL, tenant=tenant))
    return ProxiedRequest(cast("Any", scope))


class Engine:
    """Counts what it is asked."""

    def __init__(self, body: bytes = b"{}", status: int = 200, **fields: str) -> None:
        self.body = body
        self.asked = 0
        self._status = status
        self._fields = {"content-type": "application/json", **fields}

    async def read(self, request: object, **parameters: str) -> PlainResponse:
        self.asked += 1
        return PlainResponse(self.body, self._status, [*self._fields.items()])


def admitted(request: object) -> AbstractContextManager[object]:
    return nullcontext()


async def test_an_answer_is_kept_for_five_seconds_since_it_was_asked_for(time: Time) -> None:
    engine = Engine(b'{"a":1}', etag='W/"x"', ratelimit="3", vary="Accept-Encoding")
    read = AnswerCache(10**6).keeping(engine.read, admitted)
    first = await read(asking())
    first.headers["X-Request-Id"] = "of the first"
    time.seconds += 4.9
    request = asking()
    again = await read(request)
    assert (again.body, again.status_code) == (first.body, 200)
    assert dict(again.headers) == {
        "content-length": "7",
        "content-type": "application/json",
        "etag": 'W/"x"',
        "vary": "Accept-Encoding",
        "age": "4",
    }
    assert (engine.asked, is_from_cache(request.scope)) == (1, True)
    time.seconds += 0.1
    request = asking()
    assert "age" not in (await read(request)).headers
    assert (engine.asked, is_from_cache(request.scope)) == (2, False)


@pytest.mark.parametrize(
    "other",
    [
        asking(tenant="two"),
        asking(target="/api/analyses/b"),
        asking(query="lang=ja"),
        asking(("accept-language", "ja")),
        asking(("accept-encoding", "gzip")),
        asking(("if-none-match", '"a"')),
        asking(("accept", "text/csv")),
    ],
    ids=lambda request: str(request.scope["headers"] or request.scope["query_string"] or request.path),
)
async def test_another_question_has_another_answer(other: ProxiedRequest) -> None:
    engine = Engine()
    read = AnswerCache(10**6).keeping(engine.read, admitted)
    await read(asking())
    await read(other)
    assert engine.asked == 2
    await read(other)
    await read(asking(("user-agent", "another"), ("content-length", "0"), ("host", "elsewhere"), ("x-request-id", "1")))
    assert engine.asked == 2


@pytest.mark.parametrize(
    "direct",
    [
        asking(method="HEAD"),
        asking(known=False),
        asking(("cache-control", "no-cache")),
        asking(("pragma", "no-cache")),
        asking(("traceparent", "00-1-2-01")),
        asking(("content-length", "2")),
        asking(("transfer-encoding", "chunked")),
    ],
    ids=lambda request: str(request.scope["headers"] or request.method),
)
async def test_what_an_engine_has_to_see_goes_to_an_engine(direct: ProxiedRequest) -> None:
    assert Question.of(direct) is None
    engine = Engine()
    read = AnswerCache(10**6).keeping(engine.read, admitted)
    await read(asking())
    await read(direct)
    assert engine.asked == 2


@pytest.mark.parametrize(
    ("status", "fields", "kept"),
    [
        (200, {}, True),
        (304, {}, True),
        (404, {}, False),
        (503, {}, False),
        (202, {}, False),
        (200, {"x-trace-id": "t"}, True),
    ],
)
async def test_which_answers_are_kept(status: int, fields: dict[str, str], kept: bool) -> None:
    engine = Engine(status=status, **fields)
    read = AnswerCache(10**6).keeping(engine.read, admitted)
    await read(asking())
    again = await read(asking())
    assert engine.asked == (1 if kept else 2)
    assert ("content-length" in again.headers) == (status != 304 or not kept)
    if kept:
        assert "x-trace-id" not in again.headers


async def test_a_change_forgets_everything_also_what_was_asked_before_it() -> None:
    engine, cache = Engine(), AnswerCache(10**6)
    seen = list[int]()

    async def change(request: object) -> PlainResponse:
        # An engine may still answer from before the change.
        await read(asking())
        seen.append(engine.asked)
        raise DeadlineExceeded(1.0)

    read, delete = cache.keeping(engine.read, admitted), cache.forgetting(change)
    await read(asking())
    with pytest.raises(DeadlineExceeded):
        await delete(asking())
    assert seen == [2]
    await read(asking())
    assert engine.asked == 3

    async def read_during_a_change(request: object) -> PlainResponse:
        answer = await engine.read(request)
        cache.forget()
        return answer

    during = cache.keeping(read_during_a_change, admitted)
    other = asking(target="/api/analyses/b")
    await during(other)
    await read(other)
    assert engine.asked == 5


async def test_memory_is_bounded_and_the_least_used_answers_go_first() -> None:
    engine = Engine(b"x" * 1000)
    read = AnswerCache(8 * 2024 + 100).keeping(engine.read, admitted)
    paths = [f"/api/analyses/{number}" for number in range(8)]
    for path in paths:
        await read(asking(target=path))
    await read(asking(target=paths[0]))
    assert engine.asked == 8
    await read(asking(target="/api/analyses/ninth"))
    await read(asking(target=paths[0]))
    assert engine.asked == 9
    await read(asking(target=paths[1]))
    assert engine.asked == 10


@pytest.mark.parametrize("most_bytes", [0, 8 * 2023])
async def test_nothing_is_kept_where_it_is_too_large(most_bytes: int) -> None:
    engine = Engine(b"x" * 1000)
    read = AnswerCache(most_bytes).keeping(engine.read, admitted)
    for _ in range(2):
        await read(asking())
    assert engine.asked == 2


@pytest.mark.parametrize("records", [True, False])
async def test_what_an_engine_records_is_kept_only_where_the_gateway_records_it_too(records: bool) -> None:
    engine = Engine()

    async def recorded(request: ProxiedRequest) -> PlainResponse:
        set_recorded(request.scope)
        return await engine.read(request)

    read = AnswerCache(10**6, records=records).keeping(recorded, admitted)
    for _ in range(2):
        await read(asking())
    assert engine.asked == (1 if records else 2)


async def test_a_request_whose_time_is_over_gets_nothing() -> None:
    def over(request: object) -> AbstractContextManager[object]:
        raise DeadlineExceeded(0.0)

    cache, engine = AnswerCache(10**6), Engine()
    await cache.keeping(engine.read, admitted)(asking())
    with pytest.raises(DeadlineExceeded):
        await cache.keeping(engine.read, over)(asking())


async def test_every_operation_that_deletes_or_replaces_forgets() -> None:
    # Each of these is wrapped; `append_piece` and `steer_policy` change no report and no figure.
    changing = {each.name for each in OPERATIONS if each.method in ("DELETE", "PUT", "PATCH")}
    assert {each.name for each in OPERATIONS if each.name in changing and each.audited is not Audited.STORED} == {
        "append_piece"
    }
    assert {"request_erasure", "put_retention"} <= {each.name for each in OPERATIONS if each.audited is Audited.STORED}
