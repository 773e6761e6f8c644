"""The audit log at an engine: every request to an operation is recorded here, and the log is listed."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import groupby

import structlog
from quart import Response

from cqox.analysis.retention import Expired
from cqox.contract import parse_model, shortened
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, ResilienceError, ServiceError
from cqox.security import AuditEvent, Outcome
from cqox.storage import AuditFilter, ErasureRecord
from cqox.tasks import open_task_group
from services.engine.answers import json_answer, no_content
from services.engine.pages import page_before, page_limit, query_of
from services.engine.state import State
from services.engine.tenancy import mine
from services.http.contract.audit_operations import RecordedEvents
from services.http.contract.registration import Handler
from services.http.request.bodies import read_json
from services.http.request.proxied import AnyRequest
from services.http.request.request import current_request
from services.http.security.audit_queue import AuditQueue
from services.http.security.audited import Action, Audited, event_of, outcome_of

__all__ = ["EngineRecorder", "handlers", "recording"]

_INTERNAL_BYTES = 2**18
_RETENTION = "retention"
_PLURALS = {"analysis": "analyses"}
_log = structlog.stdlib.get_logger("cqox.audit")


class EngineRecorder:
    """Records requests in the result store, in the log of their tenant.

    A change is answered once its entry is stored. Where the store does not take the entry, the answer is that failure,
    and the entry waits in the queue: the change was made, unless it failed as well. Other entries always wait there.

    Args:
        state: has the stores.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.queue = AuditQueue(self.append)

    async def answered(self, request: AnyRequest, action: Action, status: int, location: str) -> Exception | None:
        """See `Recorder`."""
        event = event_of(request, action.name, outcome_of(status), location=location)
        if event is None:
            return None
        if action.audited is not Audited.STORED or event.outcome != "done":
            self.queue.put(event)
            return None
        is_stored = False
        try:
            await self.append([event])
            is_stored = True
        except (ServiceError, ResilienceError) as error:
            return error
        finally:
            # After a cancellation it may be stored already, and is not stored twice.
            if not is_stored:
                self.queue.put(event)
        return None

    def cut(self, request: AnyRequest, action: Action, outcome: Outcome) -> None:
        """See `Recorder`."""
        event = event_of(request, action.name, outcome)
        if event is not None:
            self.queue.put(event)

    def finished(self, tenant_id: str, record: ErasureRecord) -> None:
        """Record the end of an erasure in the log of the tenant that requested it, and of one that is erased."""
        event = AuditEvent(
            # The same for every engine, so that the end is recorded once.
            event_id=record.erasure_id,
            at=str(record.finished_at),
            tenant=tenant_id,
            subject=record.requested_by,
            kind="erasure",
            action="finish_erasure",
            object=f"{record.what}:{record.object_id}",
            outcome="done",
            request_id="",
        )
        self.queue.put(event)
        if record.what == "tenant" and record.object_id != tenant_id:
            self.queue.put(replace(event, tenant=record.object_id))

    async def expired(self, tenant_id: str, expired: Expired) -> None:
        """Record a batch that was deleted for its age; never raises. The request id is that of the batch.

        The batch has an entry with its size, such as `analyses:100`, and each object that is named one of its own.
        """
        kind, batch = expired.kind, secrets.token_hex(16)
        event = AuditEvent(
            event_id=batch,
            at=datetime.now(UTC).isoformat(timespec="microseconds"),
            tenant=tenant_id,
            subject=_RETENTION,
            kind=_RETENTION,
            action=f"expire_{kind}",
            object=f"{_PLURALS.get(kind, f'{kind}s')}:{expired.count}",
            outcome="done",
            request_id=f"{_RETENTION}-{batch}",
        )
        whole = [] if expired.count == len(expired.ids) == 1 else [event]
        each = [replace(event, event_id=secrets.token_hex(16), object=f"{kind}:{name}") for name in expired.ids]
        is_stored = False
        try:
            await self.append([*whole, *each])
            is_stored = True
        except (ServiceError, ResilienceError) as error:
            _log.warning("entries of the retention wait", tenant=tenant_id, error=str(error))
        finally:
            if not is_stored:
                for one in (*whole, *each):
                    self.queue.put(one)

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Store events in the logs of their tenants.

        Raises:
            StoreUnavailable: the store does not take them now.
        """
        by_tenant = sorted(events, key=lambda event: event.tenant)
        for tenant_id, those in groupby(by_tenant, key=lambda event: event.tenant):
            await self._state.analyses.within(tenant_id).store.append_audit(list(those))

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Store what waits in the queue until the block exits, and what is left then."""
        async with open_task_group("audit", detached=True) as group:
            group.start_soon(self.queue.run, name="store the audit log")
            try:
                yield
            finally:
                group.cancel_scope.cancel()
        await self.queue.close()


def recording(state: State, recorder: EngineRecorder) -> Handler:
    """Return the handler by which a gateway hands over what it has refused or done itself."""

    async def record_events() -> Response:
        body = await read_json(current_request(), max_bytes=_INTERNAL_BYTES)
        given = parse_model(RecordedEvents, body)
        await recorder.append([AuditEvent(**each.model_dump()) for each in given.events])
        return no_content()

    return record_events


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on the audit log, by name."""

    async def list_audit() -> Response:
        query = query_of("list_audit")
        wanted = AuditFilter(
            subject=query.get("subject"),
            object=query.get("object"),
            action=query.get("action"),
            since=_time(query.get("since"), "since"),
            until=_time(query.get("until"), "until"),
        )
        page = await mine(state).store.audit(
            wanted=wanted, limit=page_limit(query.get("limit", "50")), before=_number(query.get("before"))
        )
        return json_answer({"entries": [asdict(entry) for entry in page.items], "next": page.next})

    return {"list_audit": list_audit}


def _number(before: str | None) -> int | None:
    given = page_before(before)
    if given is None:
        return None
    number = given.rpartition("|")[2]
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise InvalidRequest(Message("request.before-is-no-next", given=shortened(given)), field="before")
    return int(number)


def _time(given: str | None, field: str) -> str | None:
    if given is None:
        return None
    try:
        # A plus sign that a client has not encoded arrives as a space.
        at = datetime.fromisoformat(given.replace(" ", "+"))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidRequest(Message("request.no-time-with-zone", given=shortened(given), field=field), field=field)
    return at.astimezone(UTC).isoformat(timespec="microseconds")
