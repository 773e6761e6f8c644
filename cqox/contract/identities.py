"""Models of who asks, of API keys and of tenants."""

from collections.abc import Mapping, Sequence

from pydantic import Field, JsonValue

from cqox.contract.answer_model import AnswerModel
from cqox.contract.strict import Strict

__all__ = [
    "KeyDescription",
    "KeyListing",
    "KeyRequest",
    "NewKeyDescription",
    "PrincipalDescription",
    "TenantChange",
    "TenantDescription",
]

_MOST_DAYS = 36_500


class PrincipalDescription(AnswerModel):
    """The answer of `GET /api/me`: who the request comes from."""

    subject: str = Field(description="Its identifier within the tenant; `local` where the services need no login.")
    tenant: str = Field(description="The tenant whose data it sees.")
    roles: Sequence[str]
    permissions: Sequence[str] = Field(
        description="What it may do: those of its roles, as far as its scopes keep them."
    )
    kind: str = Field(description="How it was authenticated: local, key or operator.")


class KeyRequest(Strict):
    """The body of `POST /api/keys`."""

    name: str = Field(min_length=1, max_length=200, description="What the key is for.")
    roles: Sequence[str] = Field(
        min_length=1, max_length=6, description="Its roles; none that may do more than the caller."
    )
    scopes: Sequence[str] | None = Field(
        None, max_length=50, description="The only permissions of the roles that the key has; all of them if absent."
    )
    days: float | None = Field(
        None, gt=0, le=_MOST_DAYS, description="Days after which it expires; it does not if absent."
    )


class KeyDescription(AnswerModel):
    """An API key, without its secret."""

    key_id: str = Field(description="Names the key in listings and logs; it is no secret.")
    name: str
    roles: Sequence[str]
    scopes: Sequence[str] | None
    created_at: str
    expires_at: str | None
    last_used_on: str | None = Field(description="The day of its last use; null before the first.")
    revoked_at: str | None


class NewKeyDescription(KeyDescription):
    """An API key that was just made, or that an earlier request with the same `Idempotency-Key` has made."""

    key: str | None = Field(
        description="The key itself, in no other response and not stored; null where an earlier request made it."
    )
    note: str | None = Field(None, description="What to do where the key is not shown.")
    messages: Mapping[str, Mapping[str, JsonValue]] = Field(default_factory=dict)


class KeyListing(AnswerModel):
    """The answer of `GET /api/keys`: newest first, revoked ones included."""

    keys: Sequence[KeyDescription]


class TenantChange(Strict):
    """The body of `PUT /api/tenants/{tenant_id}`."""

    name: str = Field(min_length=1, max_length=200, description="Its name for people.")


class TenantDescription(AnswerModel):
    """A tenant."""

    tenant_id: str
    name: str
    created_at: str
    erased_at: str | None = Field(description="When its data were erased; null while it exists.")
