"""Titles and notes, share links, looks and original files, where the server's answers are out of the ordinary."""

import json

import pytest

from cqox.client import stored
from cqox.errors import NotFound
from tests.client.scripted import Scripted, answer, problem

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]
LINK = {"share_id": "s", "created_at": "", "expires_at": "", "token": "t", "path": "/s#t"}


async def test_only_what_is_given_is_changed() -> None:
    server = Scripted(answer({"analysis_id": "a", "title": "Spring"}))
    assert (await stored.annotate(server.connection(), "a", title="Spring", notes=None)).title == "Spring"
    await stored.annotate(server.connection(), "a", title=None, notes="")
    assert [json.loads(request.content) for request in server.requests] == [{"title": "Spring"}, {"notes": ""}]
    assert server.asked() == ["PATCH /api/analyses/a/annotation"] * 2


async def test_a_repeated_request_for_a_link_is_one_link() -> None:
    server = Scripted(problem(503, "unavailable", headers={"Retry-After": "0"}), answer(LINK, 201))
    assert (await stored.share(server.connection(), "a", days=2)).path == "/s#t"
    first, second = server.requests
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert json.loads(second.content) == {"days": 2}


async def test_two_links_have_two_keys() -> None:
    server = Scripted(answer(LINK, 201))
    for _ in range(2):
        await stored.share(server.connection(), "a", days=None)
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 2


async def test_a_link_that_a_repeated_attempt_does_not_find_is_withdrawn() -> None:
    gone = problem(404, "not-found")
    server = Scripted(problem(503, "unavailable", headers={"Retry-After": "0"}), gone)
    await stored.withdraw_share(server.connection(), "a", "s")
    assert server.asked() == ["DELETE /api/analyses/a/shares/s"] * 2
    with pytest.raises(NotFound):
        await stored.withdraw_share(Scripted(gone).connection(), "a", "s")
