"""Permissions and deadlines of requests on tables in place."""

from types import SimpleNamespace
from typing import cast

import pytest
import trio

from cqox.errors import PermissionMissing
from cqox.security import Permission, Principal
from services.engine import analyses, datasets, in_place
from services.engine.deadlines import TableTimeUp
from services.engine.in_place import check_permissions, within_deadline
from services.http.request.request import IncomingRequest
from services.http.security.requester import principal_of, set_principal
from tests.services.engine.handled import app_of, state_of


def scope_of(*permissions: Permission) -> dict[str, object]:
    scope: dict[str, object] = {}
    found = Principal(subject="key:x", tenant="acme", roles=(), permissions=frozenset(permissions), kind="key")
    set_principal(scope, found)
    return scope


def request(milliseconds: int | None) -> IncomingRequest:
    fields = [] if milliseconds is None else [(b"x-request-timeout-ms", str(milliseconds).encode())]
    return cast("IncomingRequest", SimpleNamespace(call_fields=fields, headers={}, client_deadline_passed=False))


def test_a_table_in_place_needs_each_permission_and_a_data_set_none_of_them() -> None:
    needed = (Permission.ANALYSES_WRITE,)
    check_permissions(scope_of(Permission.SOURCES_USE, *needed), "shop", *needed)
    check_permissions(scope_of(Permission.DATASETS_READ), None, *needed)
    # A service without logins has no principals.
    check_permissions({}, "shop", *needed)
    for held, missing in ((Permission.SOURCES_USE, *needed), (*needed, Permission.SOURCES_USE)):
        with pytest.raises(PermissionMissing) as caught:
            check_permissions(scope_of(Permission.DATASETS_READ, held), "shop", *needed)
        assert caught.value.permission == str(missing)


@pytest.mark.trio
async def test_work_knows_its_seconds_and_is_cancelled_at_the_deadline(autojump_clock) -> None:
    async def work(seconds: float) -> float:
        await trio.sleep(2.0)
        return seconds

    assert await within_deadline(request(None), 60.0, work) == 60.0
    assert await within_deadline(request(5_000), 60.0, work) == 5.0
    ended = []

    async def endless(seconds: float) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(seconds)

    hasty = request(1_500)
    began = trio.current_time()
    with pytest.raises(TableTimeUp, match=r"deadline of 1\.5 s has passed while the table was read where it is"):
        await within_deadline(hasty, 60.0, endless)
    assert (ended, hasty.client_deadline_passed) == ([1.5], True)
    assert trio.current_time() - began == pytest.approx(1.5)
    patient = request(None)
    with pytest.raises(TableTimeUp):
        await within_deadline(patient, 60.0, endless)
    assert patient.client_deadline_passed is False


@pytest.mark.trio
async def test_a_caller_that_leaves_cancels_the_work(autojump_clock) -> None:
    started, ended = trio.Event(), trio.Event()

    async def endless(seconds: float) -> None:
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(within_deadline, request(None), 60.0, endless)
        await started.wait()
        nursery.cancel_scope.cancel()
    assert ended.is_set()


@pytest.mark.trio
@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("/api/roles/infer", (Permission.SOURCES_USE, Permission.ANALYSES_WRITE)),
        ("/api/analyze/preview", (Permission.SOURCES_USE,)),
        ("/api/analyze/comprehensive", (Permission.SOURCES_USE,)),
    ],
)
async def test_each_request_on_a_table_in_place_asks_for_its_permissions(
    path: str, needed: tuple[Permission, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, reached = state_of(previews=Reached(), place_columns=Reached()), (200, 500)
    app = app_of({**analyses.handlers(state), **datasets.handlers(state)})
    body: dict[str, object] = {"source": "shop", "table": "t"}
    if path != "/api/roles/infer":
        body["mapping"] = {"y": "y", "treatment": "w"}
    for held in (needed[1:], needed[:-1], needed):
        found = principal_of(scope_of(Permission.DATASETS_READ, *held))
        monkeypatch.setattr(in_place, "principal_of", lambda _, found=found: found)
        answer = await app.test_client().post(path, json=body)
        if held == needed:
            # An analysis needs more of an engine than there is here.
            assert answer.status_code in reached
        else:
            assert (answer.status_code, (await answer.get_json())["type"]) == (403, "permission-missing")


class Reached:
    """Answers each reading of a table in place alike."""

    async def preview(self, *_: object, **__: object) -> dict[str, object]:
        return {"contrasts": []}

    async def roles(self, *_: object, **__: object) -> dict[str, object]:
        return {"mapping": {}}
