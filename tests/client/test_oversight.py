"""Erasures and the audit log, where the server's answers are out of the ordinary."""

import json
from datetime import UTC, datetime

import pytest

from cqox.client import oversight
from cqox.errors import DeadlineExceeded, InvalidRequest, NotFound, PermissionMissing
from tests.client.scripted import Scripted, answer, problem

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]


def record(status: str) -> dict[str, object]:
    return {
        "erasure_id": "e",
        "what": "dataset",
        "object_id": "d",
        "status": status,
        "requested_by": "local",
        "requested_at": "2026-11-01T00:00:00+00:00",
        "finished_at": None if status == "running" else "2026-11-01T00:00:01+00:00",
        "counts": {"reports": 2},
        "digests": {},
        "encryption_key": None,
    }


async def test_the_receipt_is_waited_for_and_a_repeated_request_is_one_erasure() -> None:
    server = Scripted(
        problem(503, "unavailable", headers={"Retry-After": "0"}),
        answer(record("running"), 202),
        answer(record("running")),
        answer(record("finished")),
    )
    receipt = await oversight.erase_dataset(server.connection(), "d", wait=True, timeout=None)
    assert (receipt.status, receipt.counts) == ("finished", {"reports": 2})
    assert server.asked() == ["POST /api/erasures"] * 2 + ["GET /api/erasures/e"] * 2
    first, second, *_ = server.requests
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert json.loads(second.content) == {"dataset_id": "d"}


async def test_without_waiting_the_erasure_under_way_is_returned() -> None:
    server = Scripted(answer(record("running"), 202))
    assert (await oversight.erase_dataset(server.connection(), "d", wait=False, timeout=None)).status == "running"
    assert server.asked() == ["POST /api/erasures"]


@pytest.mark.parametrize(("end", "error"), [(None, DeadlineExceeded), (problem(404, "not-found"), NotFound)])
async def test_an_error_after_the_request_names_the_erasure_that_goes_on(end: object, error: type[Exception]) -> None:
    server = Scripted(answer(record("running"), 202), end or answer(record("running")))  # type: ignore[arg-type]
    with pytest.raises(error) as caught:
        await oversight.erase_dataset(server.connection(), "d", wait=True, timeout=0.3)
    assert "client.erasure('e')" in caught.value.__notes__[0]


async def test_a_refused_request_has_begun_nothing() -> None:
    server = Scripted(problem(403, "permission-missing", permission="erasure:request"))
    with pytest.raises(PermissionMissing) as caught:
        await oversight.erase_dataset(server.connection(), "d", wait=True, timeout=None)
    assert not hasattr(caught.value, "__notes__")


async def test_a_page_of_the_log_is_asked_for_with_what_is_given() -> None:
    server = Scripted(answer({"entries": [], "next": None}))
    since = datetime(2026, 11, 1, tzinfo=UTC)
    query = oversight.audit_query(subject=None, about="dataset:d", action="upload_dataset", since=since, until=None)
    await oversight.audit_page(server.connection(), query, before="7")
    assert dict(server.requests[0].url.params) == {
        "object": "dataset:d",
        "action": "upload_dataset",
        "since": "2026-11-01T00:00:00+00:00",
        "limit": "100",
        "before": "7",
    }


async def test_a_time_without_a_zone_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidRequest, match="'until' has no time zone"):
        oversight.audit_query(subject=None, about=None, action=None, since=None, until=datetime(2026, 11, 1))
