"""Events of the audit log that a gateway hands over to an engine."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cqox.errors import DeadlineExceeded, EngineUnavailable
from cqox.security import LOCAL
from services.gateway.answer_cache import set_from_cache
from services.gateway.audit import GatewayRecorder
from services.http.contract.audit_operations import RecordedEvents
from services.http.security.audited import Action, Audited
from services.http.security.requester import set_principal

FORWARDED, OWN = Action("delete_dataset", Audited.STORED), Action("steer_policy", Audited.QUEUED)


class Engines:
    """Engines that answer with a status, or not at all."""

    def __init__(self) -> None:
        self.status = 204
        self.bodies: list[bytes] = []
        self.policies = self

    async def read(self, call: Any, *, seconds: float) -> Any:
        if not self.status:
            raise DeadlineExceeded(seconds)
        self.bodies.append(call.content)
        return SimpleNamespace(status=self.status)


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
def recorder(engines: Engines) -> GatewayRecorder:
    return GatewayRecorder(cast("Any", engines), cast("Any", SimpleNamespace(of=lambda _: None)))


def a_request() -> Any:
    scope: dict[str, Any] = {}
    set_principal(scope, LOCAL)
    return SimpleNamespace(scope=scope, view_args={"dataset_id": "Alice"}, request_id="r-1")


@pytest.mark.trio
async def test_refusals_and_own_operations_are_handed_over_and_nothing_else(
    engines: Engines, recorder: GatewayRecorder
) -> None:
    assert await recorder.answered(a_request(), FORWARDED, 204, "") is None
    recorder.cut(a_request(), FORWARDED, "interrupted")
    assert len(recorder.queue) == 0
    recorder.cut(a_request(), FORWARDED, "refused")
    request = a_request()
    request.view_args = None
    assert await recorder.answered(request, OWN, 200, "") is None
    await recorder.queue.close()
    (body,) = engines.bodies
    # What an engine takes.
    given = RecordedEvents.model_validate_json(body)
    assert [(each.action, each.object, each.outcome) for each in given.events] == [
        ("delete_dataset", "dataset:?", "refused"),
        ("steer_policy", "", "done"),
    ]
    assert "Alice" not in json.dumps(json.loads(body))


@pytest.mark.trio
@pytest.mark.parametrize("status", [0, 401, 503])
async def test_events_that_no_engine_takes_wait(engines: Engines, recorder: GatewayRecorder, status: int) -> None:
    engines.status = status
    with pytest.raises(EngineUnavailable):
        await recorder.hand_over([])


@pytest.mark.trio
async def test_a_request_that_no_engine_saw_is_handed_over(engines: Engines, recorder: GatewayRecorder) -> None:
    reading = Action("read_analysis", Audited.QUEUED)
    request = a_request()
    request.view_args = {"analysis_id": "a" * 32}
    assert await recorder.answered(request, reading, 200, "") is None
    set_from_cache(request.scope)
    assert await recorder.answered(request, reading, 200, "") is None
    await recorder.queue.close()
    (body,) = engines.bodies
    given = RecordedEvents.model_validate_json(body)
    assert [(each.action, each.object, each.outcome) for each in given.events] == [
        ("read_analysis", f"analysis:{'a' * 32}", "done")
    ]
