"""Models of share links."""

from collections.abc import Sequence

from pydantic import Field

from cqox.contract.answer_model import AnswerModel
from cqox.contract.strict import Strict

__all__ = ["NewShareDescription", "ShareDescription", "ShareListing", "ShareRequest"]


class ShareRequest(Strict):
    """The body of `POST /api/analyses/{analysis_id}/shares`."""

    days: float | None = Field(
        None,
        gt=0,
        le=36_500,
        description="Days after which the link expires; as many as the operator allows if absent.",
    )


class ShareDescription(AnswerModel):
    """A share link, without its token."""

    share_id: str = Field(description="Withdraws the link; it is no secret.")
    created_at: str
    expires_at: str


class NewShareDescription(ShareDescription):
    """A share link that was just created."""

    token: str = Field(description="Its secret, which is in no other response and not stored.")
    path: str = Field(
        description="Path of the page with the report; the token is in the fragment, which browsers do not send."
    )


class ShareListing(AnswerModel):
    """The answer of `GET /api/analyses/{analysis_id}/shares`: newest first."""

    shares: Sequence[ShareDescription]
    allowed: bool = Field(description="Whether the operator allows share links now; none of them opens otherwise.")
    most_days: float = Field(description="Days after which a link expires at the latest; 0 where none are allowed.")
