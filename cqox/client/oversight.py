"""Operations of those who look after data on a server: erasures with their receipts, and the audit log."""

import math
import uuid
from datetime import datetime

import anyio

from cqox.client.connection import Call, Connection
from cqox.client.requests import json_call, segment
from cqox.contract import AuditListing, ErasureDescription
from cqox.contract.messages import Message
from cqox.errors import CqoxError, InvalidRequest
from cqox.resilience import deadline

__all__ = ["AuditQuery", "audit_page", "audit_query", "erase_dataset", "erasure"]

_ENTRIES_OF_A_PAGE = "100"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0

type AuditQuery = dict[str, str]
"""Filters of the audit log, as the server takes them."""


async def erase_dataset(
    connection: Connection, dataset_id: str, *, wait: bool, timeout: float | None
) -> ErasureDescription:
    """Erase a data set; with `wait` return the receipt, else the record of what is under way."""
    call = json_call("/api/erasures", {"dataset_id": dataset_id}, {"Idempotency-Key": str(uuid.uuid4())})
    found: ErasureDescription | None = None
    try:
        with deadline(math.inf if timeout is None else timeout):
            found, pause = (await connection.send(call)).model(ErasureDescription), _FIRST_PAUSE
            while wait and found.status != "finished":
                await anyio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                found = await erasure(connection, found.erasure_id)
            return found
    except CqoxError as error:
        if found is not None:
            # It was recorded before anything was deleted, and ends without this client.
            error.add_note(Message("client.erasure-goes-on", erasure=found.erasure_id))
        raise


async def erasure(connection: Connection, erasure_id: str) -> ErasureDescription:
    """Return how far an erasure has come."""
    call = Call(method="GET", path=f"/api/erasures/{segment(erasure_id)}")
    return (await connection.send(call)).model(ErasureDescription)


async def audit_page(connection: Connection, query: AuditQuery, *, before: str | None) -> AuditListing:
    """Return one page of the audit log, newest first."""
    query = query | {"limit": _ENTRIES_OF_A_PAGE} | ({} if before is None else {"before": before})
    return (await connection.send(Call(method="GET", path="/api/audit", query=query))).model(AuditListing)


def audit_query(
    *, subject: str | None, about: str | None, action: str | None, since: datetime | None, until: datetime | None
) -> AuditQuery:
    """Return the filters that are given.

    Raises:
        InvalidRequest: a time has no zone.
    """
    for name, time in (("since", since), ("until", until)):
        if time is not None and time.tzinfo is None:
            raise InvalidRequest(Message("client.time-without-zone", name=name), field=name)
    given = {
        "subject": subject,
        "object": about,
        "action": action,
        "since": None if since is None else since.isoformat(),
        "until": None if until is None else until.isoformat(),
    }
    return {name: text for name, text in given.items() if text is not None}
