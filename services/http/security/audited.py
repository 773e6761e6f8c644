"""Entries of the audit log: the declaration of each operation, and the event that follows from a request.

Events hold ids only. Of a request that fails, an id that its client made up could hold anything, so that only ids in
the form of this service's own are kept.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from cqox import clock, randomness
from cqox.security import AuditEvent, Outcome
from services.http.security.requester import principal_of

if TYPE_CHECKING:
    from services.http.request.proxied import AnyRequest

__all__ = ["Action", "Audited", "Recorder", "event_of", "note", "outcome_of"]

_KEY = "audit"
_KINDS: Mapping[str, str] = {
    "dataset_id": "dataset",
    "analysis_id": "analysis",
    "job_id": "job",
    "upload_id": "upload",
    "key_id": "key",
    "tenant_id": "tenant",
    "erasure_id": "erasure",
    "name": "source",
}
"""Kind of the object that a parameter of a path names; the first one here counts."""

_OWN_ID = re.compile(r"[0-9a-f]{16,64}", re.ASCII)
_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}", re.ASCII)
_LOCATION = re.compile(r"/api/(dataset|analyse|job|upload|erasure)s/([^/?]+)")
_SINGULAR = {"analyse": "analysis"}
_MOST_CHARACTERS = 200


class Audited(StrEnum):
    """The time at which an operation is recorded in the audit log."""

    STORED = "stored"
    """It is answered once its entry is stored: a change of what people have here."""
    QUEUED = "queued"
    """It is answered, and its entry is stored as soon as the store takes it: a reading of personal data."""
    NEVER = "never"
    """It reads nothing about people."""


class Action(NamedTuple):
    """The action of an endpoint in the audit log."""

    name: str
    audited: Audited


class Recorder(Protocol):
    """Takes what the app says of each request to an operation."""

    async def answered(self, request: "AnyRequest", action: Action, status: int, location: str) -> Exception | None:
        """Record a request that has an answer; return the error to answer instead where its entry cannot be stored."""
        ...

    def cut(self, request: "AnyRequest", action: Action, outcome: Outcome) -> None:
        """Record a request that was refused because a permission is missing, or whose client left before the answer."""
        ...


def note(
    scope: Mapping[str, Any],
    *,
    kind: str = "",
    identity: str = "",
    tenant: str | None = None,
    subject: str | None = None,
) -> None:
    """Say what a request is about, where its path does not.

    Args:
        scope: its ASGI scope.
        kind: kind of the object, such as `dataset`.
        identity: id of the object.
        tenant: whose log it belongs to, where no principal says so.
        subject: who asks, where no principal says so.
    """
    given = {"kind": kind, "identity": identity, "tenant": tenant, "subject": subject}
    noted = cast("dict[str, Any]", scope).setdefault("state", {}).setdefault(_KEY, {})
    noted.update({name: value for name, value in given.items() if value})


def outcome_of(status: int) -> Outcome:
    """Return the outcome of a request by the status of its answer."""
    if status < HTTPStatus.BAD_REQUEST:
        return "done"
    return "refused" if status == HTTPStatus.FORBIDDEN else "failed"


def event_of(request: "AnyRequest", action: str, outcome: Outcome, *, location: str = "") -> AuditEvent | None:
    """Return the event of a request; None where nobody is known to have made it.

    Args:
        request: the request.
        action: name of its operation.
        outcome: what became of it.
        location: path of what it created.
    """
    principal = principal_of(request.scope)
    noted: Mapping[str, str] = request.scope.get("state", {}).get(_KEY, {})
    tenant = noted.get("tenant") or (None if principal is None else principal.tenant)
    if tenant is None:
        return None
    return AuditEvent(
        event_id=randomness.token_hex(16),
        at=clock.timestamp(),
        tenant=tenant,
        subject=noted.get("subject", "") if principal is None else principal.subject,
        kind="share" if principal is None else principal.kind,
        action=action,
        object=_object(noted, request.view_args or {}, location, outcome),
        outcome=outcome,
        request_id=request.request_id[:_MOST_CHARACTERS],
    )


def _object(noted: Mapping[str, str], arguments: Mapping[str, object], location: str, outcome: Outcome) -> str:
    kind, identity = noted.get("kind", ""), noted.get("identity", "")
    created = _LOCATION.match(location)
    if not kind and created is not None:
        kind, identity = _SINGULAR.get(created[1], created[1]), created[2]
    if not kind:
        kind, identity = next(((_KINDS[name], str(arguments[name])) for name in _KINDS if name in arguments), ("", ""))
    form = _SAFE_ID if outcome == "done" else _OWN_ID
    if not kind:
        return ""
    return f"{kind}:{identity if form.fullmatch(identity) else '?'}"
