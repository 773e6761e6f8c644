"""The audit log at a gateway: what engines do not see is handed over to one of them.

That is a request that is refused here for its missing permission or answered from memory, and an operation of the
gateway itself.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from cqox.contract.messages import Message
from cqox.errors import DeadlineExceeded, EngineUnavailable
from cqox.security import GATEWAY, AuditEvent, Outcome
from cqox.tasks import open_task_group
from services.gateway.answer_cache import is_from_cache
from services.gateway.engine_client import Call
from services.gateway.hop import HopWriter
from services.gateway.routes import EngineAccess
from services.http.contract.api import OPERATIONS, OWN_GROUPS
from services.http.contract.audit_operations import RECORD_EVENTS
from services.http.request.proxied import AnyRequest
from services.http.security.audit_queue import AuditQueue
from services.http.security.audited import Action, event_of, outcome_of

__all__ = ["GatewayRecorder"]

_SECONDS = 5.0
_OWN = frozenset(each.name for each in OPERATIONS if each.group in OWN_GROUPS)


class GatewayRecorder:
    """Hands events over to an engine, which stores them.

    Args:
        engines: the engines, once the gateway serves.
        writer: says to an engine that the gateway asks.
    """

    def __init__(self, engines: EngineAccess, writer: HopWriter) -> None:
        self._engines = engines
        self._writer = writer
        self.queue = AuditQueue(self.hand_over)

    async def answered(self, request: AnyRequest, action: Action, status: int, location: str) -> Exception | None:
        """Record what the gateway answers itself; an engine records every other request."""
        if action.name in _OWN or is_from_cache(request.scope):
            self.cut(request, action, outcome_of(status))
        return None

    def cut(self, request: AnyRequest, action: Action, outcome: Outcome) -> None:
        """Record a refused request; an interrupted one is recorded by its engine."""
        event = None if outcome == "interrupted" else event_of(request, action.name, outcome)
        if event is not None:
            self.queue.put(event)

    async def hand_over(self, events: Sequence[AuditEvent]) -> None:
        """Let an engine store events.

        Raises:
            EngineUnavailable: no engine does within five seconds.
            Rejected: a policy of the gateway rejects the call.
        """
        call = Call(
            method=RECORD_EVENTS.method,
            target=RECORD_EVENTS.path.encode(),
            headers=((b"content-type", b"application/json"),),
            content=json.dumps({"events": [asdict(event) for event in events]}).encode(),
            hop=self._writer.of(GATEWAY),
        )
        try:
            # An event has an id, so that a repeated call stores it once.
            reply = await self._engines.policies.read(call, seconds=_SECONDS)
        except DeadlineExceeded as error:
            raise EngineUnavailable(Message("security.audit-not-taken")) from error
        if reply.status != RECORD_EVENTS.answers[0].status:
            raise EngineUnavailable(Message("security.audit-not-taken"))

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hand over what waits in the queue until the block exits, and what is left then."""
        async with open_task_group("audit", detached=True) as group:
            group.start_soon(self.queue.run, name="hand the audit log over")
            try:
                yield
            finally:
                group.cancel_scope.cancel()
        await self.queue.close()
