"""Models of the audit log."""

from collections.abc import Sequence

from pydantic import Field

from cqox.contract.answer_model import AnswerModel

__all__ = ["AuditEntryDescription", "AuditListing"]


class AuditEntryDescription(AnswerModel):
    """One entry of the audit log."""

    seq: int = Field(description="Its number in the log of the tenant, from 1 without gaps.")
    event_id: str
    at: str = Field(description="When it happened, ISO 8601 in UTC.")
    tenant: str
    subject: str = Field(description="Who asked, as `/api/me` names it; `share-link` for the holder of a share link.")
    kind: str = Field(description="How the subject was authenticated.")
    action: str = Field(description="Name of the operation, as in the OpenAPI document.")
    object: str = Field(description="Kind and id of what it was about; empty for a listing.")
    outcome: str = Field(
        description="done, refused because a permission is missing, failed, or interrupted by its client."
    )
    request_id: str = Field(description="The id of the request in logs and traces.")
    previous: str = Field(description="Digest of the entry before it; zeros for the first one.")
    digest: str = Field(description="SHA-256 of the entry as canonical JSON without this member.")


class AuditListing(AnswerModel):
    """The answer of `GET /api/audit`: newest first."""

    entries: Sequence[AuditEntryDescription]
    next: str | None = Field(description="Pass it as `before` for the next page; null on the last.")
