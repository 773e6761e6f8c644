"""The operations on principals, API keys and tenants, and the one by which a gateway asks who holds a key."""

from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cqox.contract import (
    KeyListing,
    KeyRequest,
    NewKeyDescription,
    PrincipalDescription,
    TenantChange,
    TenantDescription,
)
from cqox.security import Permission
from services.http.contract.operations import Answer, Operation, Parameter
from services.http.contract.parameters import KEY
from services.http.security.audited import Audited
from services.http.statuses import UNAVAILABLE

__all__ = ["IDENTITY_OPERATIONS", "RESOLVE_KEY", "KeyVerdict", "PresentedKey"]

_KEY_ID = Parameter(name="key_id", where="path", meaning="The id from the listing.")
_TENANT = Parameter(name="tenant_id", where="path", meaning="1 to 63 of a to z, 0 to 9 and hyphens.")
_OF_READING = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, *UNAVAILABLE)

IDENTITY_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="read_principal",
        method="GET",
        path="/api/me",
        group="Access",
        summary="Show who the request comes from",
        needs=Permission.API_USE,
        audited=Audited.NEVER,
        answers=(Answer(meaning="The principal and what it may do.", model=PrincipalDescription),),
        problems=(HTTPStatus.BAD_REQUEST, *UNAVAILABLE),
    ),
    Operation(
        name="list_keys",
        method="GET",
        path="/api/keys",
        group="Access",
        summary="List the API keys of the tenant",
        needs=Permission.KEYS_MANAGE,
        audited=Audited.QUEUED,
        answers=(Answer(meaning="Newest first, without their secrets.", model=KeyListing),),
        problems=(HTTPStatus.BAD_REQUEST, *UNAVAILABLE),
    ),
    Operation(
        name="create_key",
        method="POST",
        path="/api/keys",
        group="Access",
        summary="Make an API key for the tenant",
        needs=Permission.KEYS_MANAGE,
        audited=Audited.STORED,
        description="It may do no more than the caller. The key itself is in this response only: a request that is "
        "repeated with the same `Idempotency-Key` makes no other one, and is answered 200 with the description of the "
        "key and without the key. Keys take effect where `CQOX_AUTH=keys`.",
        body=KeyRequest,
        example={"name": "nightly import", "roles": ["analyst"], "days": 90},
        parameters=(KEY,),
        answers=(
            Answer(status=HTTPStatus.CREATED, meaning="The key.", model=NewKeyDescription),
            Answer(meaning="The description of the key that an equal request has made.", model=NewKeyDescription),
        ),
        problems=(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.CONTENT_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_CONTENT,
            *UNAVAILABLE,
            HTTPStatus.INSUFFICIENT_STORAGE,
        ),
    ),
    Operation(
        name="revoke_key",
        method="DELETE",
        path="/api/keys/{key_id}",
        group="Access",
        summary="Revoke an API key of the tenant",
        needs=Permission.KEYS_MANAGE,
        audited=Audited.STORED,
        description="The gateway that passes this on refuses the key at once, others within a minute.",
        parameters=(_KEY_ID,),
        answers=(Answer(status=HTTPStatus.NO_CONTENT, meaning="The key opens nothing any more."),),
        problems=(*_OF_READING, HTTPStatus.INSUFFICIENT_STORAGE),
    ),
    Operation(
        name="read_tenant",
        method="GET",
        path="/api/tenants/{tenant_id}",
        group="Access",
        summary="Describe a tenant",
        needs=Permission.TENANTS_MANAGE,
        audited=Audited.QUEUED,
        parameters=(_TENANT,),
        answers=(Answer(meaning="The tenant.", model=TenantDescription),),
        problems=_OF_READING,
    ),
    Operation(
        name="put_tenant",
        method="PUT",
        path="/api/tenants/{tenant_id}",
        group="Access",
        summary="Create a tenant, or rename one",
        needs=Permission.TENANTS_MANAGE,
        audited=Audited.STORED,
        body=TenantChange,
        example={"name": "Marketing"},
        parameters=(_TENANT,),
        answers=(Answer(meaning="The tenant as it is now.", model=TenantDescription),),
        problems=(*_OF_READING, HTTPStatus.CONTENT_TOO_LARGE, HTTPStatus.INSUFFICIENT_STORAGE),
    ),
)
"""In the order of the documentation."""


class PresentedKey(BaseModel):
    """A key that a client has presented, by its id and digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_id: str = Field(pattern="^[0-9a-f]{16}$")
    digest: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the whole key.")


class KeyVerdict(BaseModel):
    """The holder of a presented key, or the reason why it opens nothing."""

    model_config = ConfigDict(frozen=True)

    principal: str | None = Field(description="As `cqox.security.encode` writes it.")
    refused: Literal["unknown", "revoked", "expired"] | None = None
    seconds: float = Field(description="How long the verdict holds.")


RESOLVE_KEY = Operation(
    name="resolve_key",
    method="POST",
    path="/api/internal/keys/resolve",
    group="Internal",
    summary="Say who holds an API key",
    needs=Permission.KEYS_RESOLVE,
    audited=Audited.NEVER,
    body=PresentedKey,
    answers=(Answer(meaning="The verdict.", model=KeyVerdict),),
    problems=(HTTPStatus.BAD_REQUEST, *UNAVAILABLE),
)
"""Served by engines alone, to gateways alone; not in the OpenAPI document."""
