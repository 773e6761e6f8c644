"""The operation on the audit log, and the one by which a gateway hands over what engines do not see."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cqox.contract import AuditListing
from cqox.security import Permission
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.contract.parameters import PAGES
from services.http.security.audited import Audited
from services.http.statuses import UNAVAILABLE

__all__ = ["AUDIT_OPERATIONS", "MOST_EVENTS", "RECORD_EVENTS", "RecordedEvent", "RecordedEvents"]

MOST_EVENTS = 200
"""The most events that a gateway hands over at once."""

AUDIT_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="list_audit",
        method="GET",
        path="/api/audit",
        group="Audit and erasure",
        summary="List the audit log of the tenant, newest first",
        needs=Permission.AUDIT_READ,
        audited=Audited.QUEUED,
        description="Who read and changed what, and what was refused; ids only, no data. Each entry holds the digest "
        "of the one before it: `cqox audit verify` checks the chain. Empty where `CQOX_AUDIT` is off.",
        parameters=(
            Parameter(name="subject", where="query", meaning="Only what this subject asked for."),
            Parameter(name="object", where="query", meaning="Only what was about this object, such as `dataset:test`."),
            Parameter(name="action", where="query", meaning="Only this operation."),
            Parameter(name="since", where="query", meaning="The earliest time, ISO 8601 with a zone."),
            Parameter(name="until", where="query", meaning="The latest time, excluded, ISO 8601 with a zone."),
            *PAGES,
        ),
        answers=(Answer(meaning="One page.", model=AuditListing),),
        problems=(HTTPStatus.BAD_REQUEST, *UNAVAILABLE),
    ),
)
"""In the order of the documentation."""


class RecordedEvent(BaseModel):
    """An event that a gateway has seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: str = Field(pattern="^[0-9a-f]{32}$")
    at: str = Field(pattern=r"^[0-9T:.+-]{26,40}$")
    tenant: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$")
    subject: str = Field(pattern="^[!-~]{1,200}$")
    kind: str = Field(pattern="^[a-z]{1,20}$")
    action: str = Field(pattern="^[a-z_]{1,60}$")
    object: str = Field(pattern="^[A-Za-z0-9_.:?-]{0,220}$")
    outcome: Literal["done", "refused", "failed", "interrupted"]
    request_id: str = Field(pattern="^[A-Za-z0-9._:-]{1,128}$")


class RecordedEvents(BaseModel):
    """Events that a gateway has seen, in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: Sequence[RecordedEvent] = Field(max_length=MOST_EVENTS)


RECORD_EVENTS = Operation(
    name="record_events",
    method="POST",
    path="/api/internal/audit",
    group="Internal",
    summary="Record what a gateway has refused or done itself",
    needs=Permission.KEYS_RESOLVE,
    audited=Audited.NEVER,
    body=RecordedEvents,
    answers=(Answer(status=HTTPStatus.NO_CONTENT, meaning="They are stored."),),
    problems=(HTTPStatus.BAD_REQUEST, *UNAVAILABLE),
)
"""Served by engines alone, to gateways alone; not in the OpenAPI document."""
